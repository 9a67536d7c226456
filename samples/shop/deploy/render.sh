#!/usr/bin/env bash
# Writes the manifests with the environment's parameters put in:
#
#   deploy/render.sh OUTPUT-FOLDER
#
# Every ${NAME} in them becomes the value of the environment variable NAME; one that has no value is an error.
# A value that is still an unresolved $(NAME) means that the environment does not define it.
set -euo pipefail
out=${1:?usage: render.sh OUTPUT-FOLDER}
mkdir -p "$out"
for file in "$(dirname "$0")"/*.yaml; do
  text=$(cat "$file")
  while [[ $text =~ \$\{([A-Z_]+)\} ]]; do
    name=${BASH_REMATCH[1]} value=${!BASH_REMATCH[1]-}
    if [[ -z $value || $value == '$('*')' ]]; then
      echo "$file: the environment has no value for $name" >&2
      exit 1
    fi
    if [[ $value == *'${'* ]]; then
      echo "$file: the value of $name must not hold \${" >&2
      exit 1
    fi
    text=${text//"\${$name}"/"$value"}
  done
  printf '%s\n' "$text" >"$out/$(basename "$file")"
done
