# shellcheck shell=bash
# Shared by the scripts beside this file: where things are, and processes that are stopped by their id.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools of our own first; Debian puts nginx and haproxy where users do not look, and PostgreSQL where nobody does.
export PATH="$ROOT/target/tools/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
unset folder

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

# Ends one process by its id, or its group by -id: politely (SIGTERM, or the one that is named), after ten seconds for good.
stop_process() {
    local pid=$1 signal=${2:-TERM} tries=100
    kill "-$signal" -- "$pid" 2>/dev/null || return 0
    while kill -0 -- "$pid" 2>/dev/null; do
        ((tries-- > 0)) || { kill -KILL -- "$pid" 2>/dev/null || true; break; }
        sleep 0.1
    done
}

# That port where nobody listens, else another.
free_port() {
    local port=$1
    while taken "$port"; do port=$((15000 + RANDOM % 17000)); done
    echo "$port"
}

taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
