-- +goose Up
-- The keys that sign identity tokens. sealed is the private key in PKCS #8, sealed.
CREATE TABLE issuer_keys (
    id      TEXT   PRIMARY KEY,
    sealed  BYTEA  NOT NULL,
    created BIGINT NOT NULL
);
