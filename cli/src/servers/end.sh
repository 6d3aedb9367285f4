# end SIGNAL GROUP: ends every process of a group. What the signal has not ended after five seconds is killed.
# The status is 1 when even that did not help.

# Does anything of group $1 still run? A dead process that nobody has reaped yet does not count.
runs() {
    kill -s 0 -- "-$1" 2>/dev/null || return 1
    [ -r /proc/self/stat ] || return 0
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        # After the name in brackets, which may hold anything: state, parent, group.
        rest=${line##*) }
        state=${rest%% *}
        rest=${rest#* }
        rest=${rest#* }
        [ "${rest%% *}" = "$1" ] && [ "$state" != Z ] && [ "$state" != X ] && return 0
    done
    return 1
}

end() {
    kill -s "$1" -- "-$2" 2>/dev/null
    looks=0
    while runs "$2"; do
        looks=$((looks + 1))
        [ "$looks" -gt 600 ] && return 1
        [ "$looks" -eq 500 ] && kill -s KILL -- "-$2" 2>/dev/null
        sleep 0.01
    done
}
