#!/usr/bin/env bash
# Compile src/refref/web/styles/refref.css to src/refref/web/static/refref.css (committed, so that only those who
# change templates or styles need this). Needs node and npm; the packages are pinned by package-lock.json and live in
# .data/css, outside the sources.
set -euo pipefail

root=$(cd -P "${BASH_SOURCE[0]%/*}/.." && pwd)
web=$root/src/refref/web
work=$root/.data/css

command -v npm >/dev/null || {
  echo "Compiling the style sheet needs node and npm (Debian: apt-get install npm)." >&2
  exit 1
}

mkdir -p "$work"
cp "$web/styles/package.json" "$web/styles/package-lock.json" "$work/"
if ! cmp -s "$work/package-lock.json" "$work/node_modules/.refref-lock"; then
  npm install --prefix "$work" --no-save --ignore-scripts --no-audit --no-fund >&2
  cp "$work/package-lock.json" "$work/node_modules/.refref-lock"
fi

# The compiler resolves packages from the folder of its input: give it one that has node_modules beside it.
mkdir -p "$work/styles"
for folder in templates pages static; do ln -sfn "$web/$folder" "$work/$folder"; done
cp "$web/styles/refref.css" "$work/styles/refref.css"
cd "$work"
./node_modules/.bin/tailwindcss --minify --input styles/refref.css --output "$web/static/refref.css"
