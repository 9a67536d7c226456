package debian

// chain is the packages of all images: those with more take the layers of those with less, which registries and nodes
// then hold once.
func chain() []Layer {
	return Packages(
		// In every image: certificates for HTTPS, and apt for Dockerfiles that want more.
		PackageSet{Packages: []string{"ca-certificates", "apt"}},
		// What pipelines' scripts take for granted.
		PackageSet{Packages: []string{
			"bash", "bzip2", "curl", "file", "git", "git-lfs", "gnupg", "jq", "less", "make", "openssh-client", "patch", "procps", "rsync", "unzip", "wget", "xz-utils", "zip",
		}},
		// The container makes its own data folder; a cluster of databases in the image would be of no use.
		PackageSet{Packages: []string{"postgresql-15"}, Files: map[string]string{
			"/etc/postgresql-common/createcluster.conf": "create_main_cluster = false\n",
		}},
	)
}

const debianPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// installedLibrary makes the go command look for the compiled standard library beside the toolchain.
const installedLibrary = "GODEBUG=installgoroot=all"

// goEnv is the environment for building Go programs: no C compiler, and no other toolchain than the one in the image.
var goEnv = []string{
	"PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"GOPATH=/go", "GOTOOLCHAIN=local", "CGO_ENABLED=0", installedLibrary,
}

// trusted is the certificates that this machine trusts, which may be more than Debian's: those of a company's proxy.
func trusted() Layer { return Files(File{Path: certificates, Source: certificates, Mode: 0o644}) }

// Golang is library/golang: busybox and the Go toolchain. It has no git, C compiler or C library.
func Golang() Spec {
	return Spec{Layers: []Layer{Busybox(), GoToolchain("")}, Config: Config{Env: goEnv, Cmd: []string{"/bin/sh"}, WorkingDir: "/go"}}
}

// BusyboxImage is library/busybox.
func BusyboxImage() Spec {
	return Spec{Layers: []Layer{Busybox()}, Config: Config{Env: []string{debianPath}, Cmd: []string{"/bin/sh"}}}
}

// Debian is library/debian:bookworm.
func Debian() Spec {
	return Spec{Layers: append(chain()[:1], trusted()), Config: Config{Env: []string{debianPath}, Cmd: []string{"bash"}}}
}

// Job is the image in which a pipeline's steps run when it names no container: Debian, the usual tools, and Go.
func Job() Spec {
	return Spec{
		Layers: append(chain()[:2], GoToolchain(""), trusted()),
		Config: Config{Env: append([]string{"LANG=C.UTF-8"}, goEnv...), Cmd: []string{"bash"}, WorkingDir: "/"},
	}
}

// Postgres is a PostgreSQL server on Debian: data below /var/lib/postgresql/data, made at the first start, and an
// account POSTGRES_USER (postgres) with POSTGRES_PASSWORD and a database POSTGRES_DB of its own, as the well-known
// image of that name takes them.
func Postgres() Spec {
	return Spec{
		Layers: append(chain(), Files(File{Path: "/usr/local/bin/postgres-start", Content: []byte(postgresStart)})),
		Config: Config{
			Env:        []string{"PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"},
			Entrypoint: []string{"/usr/local/bin/postgres-start"}, Ports: []string{"5432/tcp"},
		},
	}
}

// postgresStart makes the data folder if it is new and becomes the server.
const postgresStart = `#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown postgres:postgres "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "set POSTGRES_PASSWORD" >&2; exit 1; }
  umask 077
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb -D "$PGDATA" -U "$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
    createdb -h /var/run/postgresql -U "$user" "${POSTGRES_DB:-$user}"
    pg_ctl -D "$PGDATA" -m fast -w stop
  fi
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' "$@"
`

// Static is an image of files alone, as one static program with its entry point.
func Static(entrypoint []string, files ...File) Spec {
	return Spec{Layers: []Layer{Files(files...)}, Config: Config{Entrypoint: entrypoint}}
}
