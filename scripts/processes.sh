# shellcheck shell=bash
# Programs that a script starts, watches and stops by their id, and what it finds wrong. Source lib.sh first; set $folder.

folder=
problems=()
declare -A pids=()
order=() # names as started

# start NAME PROGRAM...: a process group of its own, so that Ctrl-C reaches the script alone.
start() {
    local name=$1
    shift
    set -m
    "$@" >>"$folder/$name.out" 2>>"$folder/$name.log" </dev/null &
    pids[$name]=$!
    set +m
    order+=("$name")
}

# wait_until NAME CONDITION...: polls a condition while the process lives.
wait_until() {
    local name=$1 tries=600
    shift
    until "$@"; do
        kill -0 "${pids[$name]}" 2>/dev/null || fail "$name ended: $(tail -n 5 "$folder/$name.log")"
        ((tries-- > 0)) || fail "waited 30 s in vain for $name: $*"
        sleep 0.05
    done
}

# stop NAME: it must end by itself, and well.
stop() {
    local name=$1 pid=${pids[$1]:-} result=0
    [[ -n $pid ]] || return 0
    unset "pids[$name]"
    stop_process "$pid"
    wait "$pid" || result=$?
    [[ $result == 0 ]] || off "$name ended with $result: $(tail -n 3 "$folder/$name.log")"
    ! kill -0 "$pid" 2>/dev/null || off "$name is still there: process $pid"
}

# In the order in which nobody misses the next one: the last started first.
stop_everything() {
    local at
    for ((at = ${#order[@]} - 1; at >= 0; at--)); do stop "${order[at]}"; done
}

off() {
    problems+=("$*")
}

# Says what was wrong, if anything was.
verdict() {
    [[ ${#problems[@]} != 0 ]] || return 0
    printf 'error: %s\n' "${problems[@]}" >&2
    exit 1
}
