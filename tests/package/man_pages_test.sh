#!/bin/sh
# The man pages have no fault that man sees, and every option, exit code and key that --help prints.
# Usage: man_pages_test.sh BUILD_DIRECTORY
set -u

build=$1
failures=0

wrong() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# Blanks and hyphenation aside, as a reader sees it.
rendered() {
    MANWIDTH=1000 man --no-hyphenation --no-justification -l "$1" | col -bx | tr -s ' '
}

hooks="failover_command follow_primary_command recovery_1st_stage pgpool_remote_start"
for page in failover_command.8 follow_primary_command.8 recovery_1st_stage.8 \
    pgpool_remote_start.8 hooks.conf.5; do
    warnings=$(man --warnings -E UTF-8 -l "$build/man/$page.gz" 2>&1 >/dev/null)
    [ -z "$warnings" ] || wrong "$page: $warnings"
done

configuration=$(rendered "$build/man/hooks.conf.5.gz")
for hook in $hooks; do
    help=$("$build/bin/$hook" --help) || wrong "$hook --help"
    page=$(rendered "$build/man/$hook.8.gz")
    options=$(printf '%s\n' "$help" | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
    codes=$(printf '%s\n' "$help" | sed -n '/^Exit codes/,/^$/s/^  \([0-9][0-9]*\) .*/\1/p')
    keys=$(printf '%s\n' "$help" | sed -n "/^Keys/,\$s/^  \\([A-Za-z_.]*\\) = '.*/\\1/p")
    [ "$(printf '%s\n' $options | wc -l)" -ge 5 ] || wrong "$hook --help has options: $options"
    [ "$(printf '%s\n' $codes | wc -l)" -eq 10 ] || wrong "$hook --help has exit codes: $codes"
    [ "$(printf '%s\n' $keys | wc -l)" -ge 30 ] || wrong "$hook --help has keys: $keys"
    for option in $options; do
        printf '%s\n' "$page" | grep -q -- "^ $option\b" || wrong "$hook(8) lacks $option"
    done
    for code in $codes; do
        printf '%s\n' "$page" | grep -q "^ $code\b" || wrong "$hook(8) lacks exit code $code"
        text=$(printf '%s\n' "$help" | sed -n "/^Exit codes/,/^\$/s/^  $code  *//p")
        # README has the same table.
        grep -q "^| $code | $text" "$(dirname "$0")/../../README.md" ||
            wrong "README does not say of $code: $text"
    done
    for key in $keys; do
        printf '%s\n' "$configuration" | grep -q "^ $key = '" || wrong "hooks.conf(5) lacks $key"
    done
    # The summary of the usage line, and how it is called.
    printf '%s\n' "$page" | grep -qF "$(printf '%s\n' "$help" | sed -n '/^Called by/{n;s/^ *//;s/  */ /g;p}')" ||
        wrong "$hook(8) does not say how it is called"
done
[ $failures -eq 0 ] && echo "man pages: 5 pages agree with --help"
