# shellcheck shell=bash
# Shared by the scripts beside this file: where things are, and processes that are stopped by their id.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools of our own first; Debian puts nginx and haproxy where users do not look.
export PATH="$ROOT/target/tools/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command with the rights to install: as root, else by sudo when it asks no question or a person is there.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif have sudo && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
        sudo "$@"
    else
        return 1
    fi
}

# Ends one process by its id, or its group by -id: politely, and after ten seconds for good.
stop_process() {
    local pid=$1 tries=100
    kill -TERM -- "$pid" 2>/dev/null || return 0
    while kill -0 -- "$pid" 2>/dev/null; do
        ((tries-- > 0)) || { kill -KILL -- "$pid" 2>/dev/null || true; break; }
        sleep 0.1
    done
}
