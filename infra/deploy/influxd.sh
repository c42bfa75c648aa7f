#!/usr/bin/env bash
# Builds influxd 2.7.12 from source into the cache of forestall, where `forestall up --influx` and the tests look for it.
# usage: infra/deploy/influxd.sh     says its version at once where it is there already; else 5 to 11 minutes on two cores
#
# What is fetched is checked: Go by the sums below, which vouch for the module's own go.sum and so for all that it needs;
# Cargo by flux's Cargo.lock. The server has no web pages: those are built by another project and are not in the module.
set -euo pipefail

version=2.7.12
module=github.com/influxdata/influxdb/v2
sums="$module v$version h1:m25dUSO7h6nm3zFC4v/aCNeFFmnN/mlN/uPo1T63bmk=
$module v$version/go.mod h1:Mb0O9zNkhn4JTmr5vsr4ELa75um/ai6dY1pcoW192AU="
cache=${XDG_CACHE_HOME:-$HOME/.cache}/forestall/influxd-$version
program=$cache/influxd

say() { echo "influxd: $*" >&2; }

is_ours() { # FILE: whether it runs and has the version that is wanted
    [ -x "$1" ] && "$1" version 2>/dev/null | grep -F "InfluxDB v$version "
}

name_what_is_missing() {
    local missing=() tool
    for tool in flock go cargo rustc pkg-config; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    command -v "${CC:-gcc}" >/dev/null || command -v clang >/dev/null || missing+=("a C compiler (gcc or clang)")
    [ ${#missing[@]} -eq 0 ] && return
    say "missing: ${missing[*]}"
    say "needed are go 1.23, cargo and rustc 1.72 or newer, a C compiler, pkg-config and flock;"
    say "Debian: apt-get install golang cargo gcc libc6-dev pkg-config util-linux (see that go and rustc are new enough)"
    exit 1
}

fetch_sources() { # into $work/module: a module of our own that requires influxd
    mkdir "$work/module" && cd "$work/module"
    printf 'module build\n\ngo 1.23.0\n' >go.mod
    echo "$sums" >go.sum
    go mod download "$module@v$version"
    cat "$(go mod download -json "$module@v$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/go.sum" >>go.sum
    go get "$module/cmd/influxd@v$version" 2>"$work/get.log" || { cat "$work/get.log" >&2; exit 1; }
    go mod download github.com/influxdata/flux
}

build_libflux() { # the half of the Flux language that is written in Rust, as a static library in $work/lib
    local flux
    flux=$(go list -m -f '{{.Dir}}' github.com/influxdata/flux)
    mkdir "$work/flux" "$work/lib"
    cp -R "$flux/libflux" "$flux/stdlib" "$work/flux"
    chmod -R u+w "$work/flux"
    rm -f "$work/flux/libflux/rust-toolchain.toml" # the Rust that is installed does
    (
        cd "$work/flux/libflux"
        export CARGO_TARGET_DIR=$work/target RUSTFLAGS="${RUSTFLAGS:-} --cap-lints allow"
        cargo rustc --quiet -p flux --lib --crate-type staticlib --no-default-features --features cffi --locked --release
    )
    cp "$work/target/release/libflux.a" "$work/lib"
    # No -L: Go remembers these flags, and this folder is gone the next time. LIBRARY_PATH is not remembered.
    cat >"$work/lib/flux.pc" <<PC
Name: flux
Description: the static library of Flux
Version: ${flux##*@v}
Libs: -lflux -ldl -lm -lpthread
Cflags: -I$work/flux/libflux/include
PC
    export PKG_CONFIG_PATH=$work/lib LIBRARY_PATH=$work/lib
}

build_influxd() {
    go build -trimpath -tags sqlite_foreign_keys,sqlite_json -o "$work/influxd" \
        -ldflags "-s -w -X main.version=v$version -X main.date=$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$module/cmd/influxd"
    is_ours "$work/influxd" >/dev/null || { say "what was built does not run"; exit 1; }
}

is_ours "$program" && exit
name_what_is_missing
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9 # one build at a time
is_ours "$program" && exit

work=$(mktemp -d)
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
export CGO_ENABLED=1 GO111MODULE=on GOWORK=off
command -v "${CC:-gcc}" >/dev/null || export CC=clang
say "fetching the sources (once; all in all 5 to 11 minutes)"
fetch_sources
say "building libflux with $(rustc --version)"
build_libflux
say "building influxd with $(go version)"
build_influxd
mv "$work/influxd" "$program.new" && mv "$program.new" "$program"
is_ours "$program"
