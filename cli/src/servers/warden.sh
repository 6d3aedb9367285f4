# warden FOLDER: owns a scratch folder, and outlives the process that asked for it by just long enough to clean up.
#
# Standard input is a pipe whose other end only that process holds. However it ends, the pipe ends with it; then
# every server that has a ticket in FOLDER/run is ended, and the folder is removed.

# Neither Ctrl-C, nor a closed terminal, nor a parent that died before it heard us may take the one who cleans up.
trap '' HUP INT QUIT TERM TSTP PIPE
umask 077

mkdir -- "$1" "$1/run" || exit 1
echo ready
exec >/dev/null 2>&1
while read -r _; do :; done

# From here on nobody gets a ticket, so nobody starts: see LAUNCH in process.rs.
mv -- "$1/run" "$1/closed"
for ticket in "$1"/closed/*.*; do
    name=${ticket##*/}
    [ "$name" = '*.*' ] || end "${name%%.*}" "${name#*.}"
done

# A Postgres that had no time to say goodbye leaves its shared memory behind; line 7 of its lock file names it.
lock=$1/data/postmaster.pid
if [ -f "$lock" ]; then
    segment=$(sed -n '7s/.* //p' "$lock")
    [ -z "$segment" ] || ipcrm -m "$segment"
fi

rm -rf -- "$1" || { sleep 0.2; rm -rf -- "$1"; }
