#!/usr/bin/env bash
# Builds a PgBouncer that keeps prepared statements in transaction mode (1.21 and later), where the distribution has an
# older one, from the source package of a later Debian, and prints where it is: in the folder that it is given, where it stays.
# Needs apt-get, cc, make, pkg-config and libevent's headers.
set -euo pipefail
folder=$1
suite=trixie

if [ ! -x "$folder/pgbouncer" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
  # The mirror and the keyring of this machine.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | head -n 1)
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb-src [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
  apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
  cd "$work"
  "${apt[@]}" update
  "${apt[@]}" source --download-only pgbouncer
  tar --extract --file pgbouncer_*.orig.tar.* --directory source --strip-components=1
  cd source
  ./configure --without-openssl --without-cares --without-systemd
  make pgbouncer
  install pgbouncer "$folder/pgbouncer"
fi >&2
echo "$folder/pgbouncer"
