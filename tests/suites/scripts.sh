#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs shellcheck over every shell script of the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

status=0
while read -r script; do
    if problems=$(shellcheck --external-sources --format=gcc "$script"); then
        printf 'ok %s\n' "$script"
    else
        printf '%s\nnot ok %s - %s\n' "$problems" "$script" "${problems%%$'\n'*}"
        status=1
    fi
done < <(find . \( -name .git -o -path ./build -o -path ./out \) -prune -o -type f \
    \( -name '*.sh' -o -perm -u+x -exec grep -Iqm1 '^#!.*sh$' {} \; \) -printf '%P\n' | sort)
exit "$status"
