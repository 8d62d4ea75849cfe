# shellcheck shell=bash
# Throw-away servers for tests and demonstrations: PostgreSQL and NATS, on loopback, stopped by their id.
# Source lib.sh first. Nothing in them outlives their folder, and nobody but the tests should rely on what is inside.

servers=() # "SIGNAL PID" of each that runs, as started

# start_postgres FOLDER PORT: postgres://postgres@127.0.0.1:PORT, and a socket in FOLDER. Fails when the port was taken meanwhile;
# asked again with another it goes on with the same folder.
start_postgres() {
    local folder port=$2 as=()
    folder=$(own_folder "$1") || return 1
    # PostgreSQL refuses root, who therefore becomes the user that Debian made for it. All of the folder is his.
    if [[ $(id -u) == 0 ]]; then
        local user=nobody
        ! id postgres >/dev/null 2>&1 || user=postgres
        as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups)
        chown "$user" "$folder"
        "${as[@]}" test -x "$folder" || { say "error: user $user may not enter $folder
hint: chmod 711 the folders above it"; return 1; }
    fi
    if [[ ! -f $folder/ready ]]; then
        (cd "$folder" && "${as[@]}" initdb --pgdata data --username postgres --auth trust --encoding UTF8 --locale C --no-sync \
            --no-instructions) >"$folder/initdb.log" 2>&1 || { say "$(<"$folder/initdb.log")"; return 1; }
        touch "$folder/ready"
    fi
    # Each test keeps some connections, and many run at a time. What a crash of the host would lose nobody wants back.
    launch INT "$folder" "${as[@]}" postgres -D data -h 127.0.0.1 -p "$port" -k "$folder" -c max_connections=300 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off
    # By the socket, which only this one has: the port may be another's.
    until_up "$folder" pg_isready --quiet --host "$folder" --port "$port" --timeout 1
}

# start_nats FOLDER PORT: nats://127.0.0.1:PORT with JetStream, which keeps its streams in FOLDER.
start_nats() {
    local folder port=$2
    folder=$(own_folder "$1") || return 1
    launch TERM "$folder" nats-server --addr 127.0.0.1 --port "$port" --jetstream --store_dir "$folder/store"
    until_up "$folder" grep -qs 'Server is ready' "$folder/log"
}

# on_free_port start_nats FOLDER: on some free port, which is then in $port. Others look for one at the same time.
on_free_port() {
    local tries
    for tries in 1 2 3 4 5; do
        port=$(free_port $((15000 + RANDOM % 17000)))
        if "$1" "$2" "$port"; then return; fi
        say "$1 failed on port $port (try $tries of 5)"
    done
    return 1
}

# The last started first. SIGINT tells PostgreSQL not to wait for its clients.
stop_servers() {
    local at
    for ((at = ${#servers[@]} - 1; at >= 0; at--)); do
        stop_process "${servers[at]#* }" "${servers[at]% *}"
    done
    servers=()
}

own_folder() {
    mkdir -p "$1" && (cd "$1" && pwd -P)
}

# A process group of its own, so that Ctrl-C reaches the script alone, which then stops things in order.
launch() {
    local signal=$1 folder=$2
    shift 2
    set -m
    (cd "$folder" && exec "$@") >"$folder/log" 2>&1 </dev/null &
    set +m
    servers+=("$signal $!")
    echo "$!" >"$folder/pid"
}

# Polls a condition while the server started last lives; one that has ended is forgotten.
until_up() {
    local folder=$1 tries=600
    shift
    until "$@"; do
        if ! kill -0 "$(<"$folder/pid")" 2>/dev/null || ((tries-- == 0)); then
            tail -n 5 "$folder/log" >&2
            stop_process "$(<"$folder/pid")"
            unset 'servers[-1]'
            return 1
        fi
        sleep 0.05
    done
}
