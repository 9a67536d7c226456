-- +goose Up
-- What a project does not accept in its images. environments are patterns, as a list in JSON.
CREATE TABLE scan_policies (
    project      TEXT    NOT NULL PRIMARY KEY,
    severity     TEXT    NOT NULL,
    unfixed      BOOLEAN NOT NULL,
    pushes       BOOLEAN NOT NULL,
    environments TEXT    NOT NULL
);
-- Vulnerabilities that a project accepts for a while; an empty package is every package.
CREATE TABLE scan_exceptions (
    project       TEXT   NOT NULL,
    vulnerability TEXT   NOT NULL,
    package       TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    until         BIGINT NOT NULL,
    author        TEXT   NOT NULL,
    made          BIGINT NOT NULL,
    PRIMARY KEY (project, vulnerability, package)
);
-- Packages that a bill of materials names which somebody gave: JSON, compressed by gzip.
CREATE TABLE scan_documents (
    repository TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    packages   BYTEA  NOT NULL,
    author     TEXT   NOT NULL,
    made       BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
