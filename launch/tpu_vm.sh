#!/usr/bin/env bash
# Trains on a Cloud TPU from here to the end and gives it back: the job of launch/tpu_vm.py with nothing but bash, git and gcloud.
#
#     launch/tpu_vm.sh --type=v5litepod-8 --topology=v5e-8 --runtime_version=v2-alpha-tpuv5-lite --zone=us-west4-a \
#       --bucket=gs://my-bucket --workdir=runs/lenet5 [--spot] -- --config=experiments/vision/lenet5.py:mnist
#
# The same command goes on with a job that was stopped. Run it in the project's folder; the machines run the last commit. A job
# that holds the workdir is refused unless it was a process of this machine that is no more; --break_lock takes it from any. What
# needs the config is looked at on the TPU's machine: whether the batch divides over the chips, before data are prepared; and
# whether a chain of stages is complete, so that for one that is a TPU is asked for and given back. Exit codes are those of
# dlsuite.main: 0 done, 2 bad input, 3 diverged, 74 the bucket or the TPU service is out of reach, 75 stopped or no capacity,
# 1 any other failure.
set -uo pipefail

# Whoever looks on may be gone: a pipe or terminal that was closed ends no job, and then nothing more is said.
trap '' PIPE
say() { echo "launch: $*" 2> /dev/null || exec > /dev/null; }
die() {  # code, text
  echo "launch: $2" >&2
  exit "$1"
}

type='' topology='' runtime_version='' zone='' bucket='' workdir='' spot=() break_lock=''
poll_seconds=30 retry_seconds=60 retries=20 restarts=3
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  case "$1" in
    --type=* | --topology=* | --runtime_version=* | --zone=* | --bucket=* | --workdir=* | \
      --poll_seconds=* | --retry_seconds=* | --retries=* | --restarts=*)
      name="${1%%=*}"
      printf -v "${name#--}" '%s' "${1#*=}" ;;
    --spot) spot=(--spot) ;;
    --break_lock) break_lock=yes ;;
    *) die 2 "$1 is not understood; see the head of $0" ;;
  esac
  shift
done

# Everything that can be wrong with the flags is said here, before anything is asked of anybody.
must() {  # flag, regular expression, what it says
  [[ "${!1}" =~ ^($2)$ ]] || die 2 "--$1=${!1} must be $3"
}
sizes() {  # generation; prints what --type begins with, and the sizes: a test compares them with launch/topology.py
  case "$1" in
    v2) echo v2 8 32 128 256 512 ;;
    v3) echo v3 8 32 64 128 256 512 1024 2048 ;;
    v4) echo v4 8 16 32 64 128 256 512 1024 2048 4096 ;;
    v5e | v5litepod) echo v5litepod 1 4 8 16 32 64 128 256 ;;
    v5p) echo v5p 8 16 32 64 128 256 512 1024 2048 4096 ;;
    v6e) echo v6e 1 4 8 16 32 64 128 256 ;;
    *) ;;
  esac
}
for needed in type topology runtime_version zone bucket workdir; do
  [ -n "${!needed}" ] || die 2 "--$needed is missing; see the head of $0"
done
[ "$#" -ge 2 ] || die 2 "the trainer's flags are missing: give them behind --, e.g. -- --config=experiments/vision/lenet5.py"
shift
bucket="${bucket%/}" workdir="${workdir#"$bucket/"}" workdir="${workdir%/}" topology="${topology,,}"
must bucket 'gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/.*)?' 'gs://NAME or gs://NAME/FOLDER'
must workdir '[[:alnum:]_.-]+(/[[:alnum:]_.-]+)*' 'a folder below --bucket, e.g. runs/lenet5'
[[ "/$workdir/" != */../* && "/$workdir/" != */./* ]] ||
  die 2 "--workdir=$workdir must be a folder below --bucket, e.g. runs/lenet5"
for name in poll_seconds retry_seconds; do
  must "$name" '0*[1-9][0-9]{0,5}(\.[0-9]*)?|0*\.[0-9]*[1-9][0-9]*' 'a number of seconds above 0 and below 1000000'
done
must retries '[1-9][0-9]{0,5}' 'a whole number from 1 on'
must restarts '0|[1-9][0-9]{0,5}' 'a whole number from 0 on'
size="${topology#*-}"
read -r prefix allowed <<< "$(sizes "${topology%%-*}")"
[ -n "$prefix" ] || die 2 "--topology=$topology is unknown; allowed are v2-, v3-, v4-, v5e-, v5p- and v6e-SIZE, e.g. v5e-8"
[[ " $allowed " == *" $size "* ]] || die 2 "--topology=$topology: ${topology%%-*} has no such size; allowed: $allowed"
[ "$type" = "$prefix-$size" ] || die 2 "--type=$type contradicts --topology=$topology (did you mean --type=$prefix-$size?)"

command -v gcloud > /dev/null || die 2 'gcloud is not on PATH: install the Google Cloud CLI, then run: gcloud auth login'
commit="$(git rev-parse HEAD)" || die 2 'no git work tree here: run it in the folder of the project'
# The same name as launch/plan.py's: of two workdirs with one last folder, each has a TPU of its own.
word="${workdir##*/}"
word="$(printf '%s' "${word,,}" | tr -cs 'a-z0-9' -)"
word="${word#-}" word="${word%-}"
tpu="dlsuite-${word:0:40}-$(printf '%s' "$bucket/$workdir" | sha256sum | cut -c 1-6)"
lock="$bucket/$workdir.lock"
home="dlsuite-${commit:0:12}"
log="$(mktemp)" error="$log.error"  # what the trainer printed last, and why gcloud failed last
user="${LOGNAME:-${USER:-$(id -un 2> /dev/null)}}"  # a number without a name, in a container, is printed as it is
locked='' mine='' ours='' theirs='' now=''

tpus() { gcloud compute tpus "$@" "--zone=$zone"; }
reason() { tail -n 1 "$error"; }
die_of() {  # what cannot be done; of a reason that may pass the code says so
  local code=2
  if is_passing; then code=74; fi
  die "$code" "$1: $(reason)"
}
# A number is a status where it stands alone: v3-512 is none, nor is the TPU of runs/404.
is_passing() {
  grep -Eqi '(^|[^[:alnum:]_-])(408|429|5[0-9][0-9])\b|timed out|unreachable|connection|network (is|error)|resolve' "$error" ||
    grep -Eqi 'find the server|\bunavailable\b|\binternal error|\bINTERNAL:|DEADLINE_EXCEEDED' "$error"
}
is_absent() { grep -Eqi 'NOT_FOUND|was not found|(^|[^[:alnum:]_-])404\b' "$error"; }
# Sets $now to the TPU's state: absent if there is none, unknown if it cannot be seen, as without a network. One of another kind
# than --type says is another job's.
look() {
  local answer kind
  if answer="$(tpus queued-resources describe "$tpu" \
    '--format=value(state.state,tpu.nodeSpec[0].node.acceleratorType)' 2> "$error")"; then
    now="${answer%%$'\t'*}"
    kind="${answer#"$now"}" kind="${kind#$'\t'}"
    if [ -n "$kind" ] && [ "$kind" != "$type" ]; then
      theirs="the queued resource $tpu exists and is a $kind; delete it first"
      now=unknown
      echo "$theirs" > "$error"
    fi
    [ -n "$now" ] || now=unknown
  elif is_absent; then
    now=absent
  else
    now=unknown
  fi
}
# It takes the place of the subshell that it must be called in: whoever ends that ends gcloud. A machine that has vanished, or
# does not come, must be noticed: ssh alone would wait for it for hours or minutes, and gcloud starts ssh up to ten times.
remote() {  # worker, command
  exec gcloud compute tpus tpu-vm ssh "$tpu" "--worker=$1" --quiet '--ssh-flag=-o ConnectTimeout=15' \
    '--ssh-flag=-o ServerAliveInterval=15' '--ssh-flag=-o ServerAliveCountMax=4' "--command=$2" "--zone=$zone"
}
pause() {  # seconds; bash holds a signal back until the program in the foreground has ended, but not while it waits
  sleep "$1" &
  wait "$!"
}
delete() {  # succeeds if the TPU is no more
  local attempt
  say "gives $tpu back"
  for attempt in 1 2 3; do
    if tpus queued-resources delete "$tpu" --force --quiet 2> "$error" || is_absent; then return 0; fi
    say "$tpu cannot be deleted: $(reason)"
    [ "$attempt" -eq 3 ] || pause "$poll_seconds"
  done
  return 1
}
quote() { printf '%q ' "$@"; }
generation() { gcloud storage objects describe "$lock" '--format=value(generation)' 2> /dev/null; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<< "$holder"; }
# As dlsuite/runs/lock.py and launch/lock.py tell them: this boot of this machine with the processes that one sees here, and the
# tick at which one of them began. Where there is no /proc both are empty, and no holder is taken for dead.
machine() {
  local boot space
  boot="$(cat /proc/sys/kernel/random/boot_id 2> /dev/null)" && space="$(readlink /proc/self/ns/pid)" &&
    echo "$boot/${space//[!0-9]/}"
}
began() {  # process
  local line fields
  line="$(cat "/proc/$1/stat" 2> /dev/null)" && read -ra fields <<< "${line##*)}" && [[ "${fields[0]}" != [ZX] ]] &&
    echo "${fields[19]}"
}
is_dead() {  # whether the lock's holder was a process of this machine and user that is no more
  local process
  process="$(field process)"
  [ "$(field owner)" = "$user" ] && [ -n "$(machine)" ] && [ "$(field machine)" = "$(machine)" ] &&
    [[ "$process" =~ ^[0-9]{1,9}$ ]] && [ "$(began "$process")" != "$(field process_start)" ]
}

give_back() {  # whether it was signalled; what this job has asked for or seen is deleted even if it cannot be seen now
  look
  if [ -n "$1" ] && [ "$now" = ACTIVE ]; then
    say 'lets the trainer save its state'
    (remote 0 "cd $home && .venv/bin/python -m launch.on_vm stop --name=$tpu $(quote "--run=$bucket/$workdir")" 2>&1)
  fi
  if [ -z "$ours" ]; then
    if [ "$now" = absent ]; then return; fi
    if [ "$now" = unknown ]; then
      say "whether an earlier start has left $tpu behind cannot be seen: $(reason)"
      return
    fi
  fi
  delete || say "ATTENTION: $tpu MAY STILL COST MONEY; delete it by hand:" \
    "gcloud compute tpus queued-resources delete $tpu --zone=$zone --force" >&2
}
clear_up() {
  code=$?
  # A child that is ended before it has dropped the traps that it was born with is not the job, and gives nothing back.
  [ "$BASHPID" = "$$" ] || exit 143
  trap '' INT TERM HUP
  local signalled=''
  if [ "$code" -ge 128 ]; then signalled=yes code=75; fi
  for job in $(jobs -pr); do kill "$job" 2> /dev/null; done
  if [ -n "$locked" ]; then
    if [ -z "$theirs" ]; then give_back "$signalled"; fi
    gcloud storage rm "$lock" ${mine:+"--if-generation-match=$mine"} --quiet 2> /dev/null
  fi
  rm -rf "$log" "$error" "$log.bundle" "$log.git"
  exit "$code"
}
trap clear_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

trainer=()
for word in "$@"; do
  [[ "$word" != --config && "$word" != -config* ]] || die 2 "$word is not looked at here: write --config=FILE"
  if [[ "$word" == --config=* ]]; then  # the machines look for it by its path in the repository
    file="${word#--config=}" file="${file%%:*}"
    path="$(git -c core.quotePath=false --literal-pathspecs ls-files --full-name -- "$file" 2> /dev/null)"
    [ -n "$path" ] || die 2 "--config=$file is not in commit ${commit:0:12}, which the machines run: commit it first"
    git --literal-pathspecs diff --quiet "$commit" -- "$file" ||
      die 2 "--config=$file differs from commit ${commit:0:12}, which the machines run: commit the change first, or undo it"
    word="--config=$path${word#"--config=$file"}"
  fi
  trainer+=("$word")
done
changed="$(git status --porcelain | wc -l)"
[ "$changed" -eq 0 ] || echo "launch: $changed file(s) differ from commit ${commit:0:12}; the machines run the commit" >&2
account="$(gcloud auth list --filter=status:ACTIVE '--format=value(account)' 2> "$error")" || die_of 'gcloud auth list'
[ -n "$account" ] || die 2 'gcloud has no active account: run: gcloud auth login'

owner="$(printf '{"owner": "%s", "host": "%s", "process": "%s", "since": "%s", "machine": "%s", "process_start": "%s"}' \
  "$user" "$(uname -n)" "$$" "$(date -u +%FT%TZ)" "$(machine)" "$(began "$$")")"
for attempt in 1 2 3; do  # somebody else may take it between our look and our try
  if printf '%s' "$owner" | gcloud storage cp - "$lock" --if-generation-match=0 --quiet 2> "$error"; then
    locked=yes
    break
  fi
  grep -qi '412\|pre-\?condition' "$error" || die_of "--bucket=$bucket cannot be written"
  there="$(generation)"  # before it is read: of what somebody else has made since, nothing is removed
  holder="$(gcloud storage cat "$lock" 2> /dev/null)"
  if [ "$holder" = "$owner" ]; then  # gcloud got no answer and asked again: it was refused for what it had written itself
    locked=yes
    break
  fi
  if [ "$attempt" -eq 3 ] || { [ -n "$holder" ] && [ -z "$break_lock" ] && ! is_dead; }; then
    die 2 "$lock: the workdir is in use: $holder; if that job is no more: --break_lock"
  fi
  [ -z "$there" ] || gcloud storage rm "$lock" "--if-generation-match=$there" --quiet 2> /dev/null
done
for seconds in 0 1 1; do  # a lock whose generation is not known could be somebody else's at the end
  sleep "$seconds"
  mine="$(generation)"
  [ -z "$mine" ] || break
done
[ -n "$mine" ] || die 74 "--bucket=$bucket does not show $lock, which has just been written"
if gcloud storage ls "$bucket/$workdir/result.json" > /dev/null 2>&1; then
  say "the run is complete: $bucket/$workdir"
  exit 0
fi
if ! gcloud storage ls "$bucket/code/$commit.bundle" > /dev/null 2>&1; then
  # A bundle is of a ref, and HEAD may have moved since it was looked at: a copy without files has one that does not.
  if ! { git clone -q --bare --shared "$(git rev-parse --show-toplevel)" "$log.git" &&
    git -C "$log.git" update-ref --no-deref HEAD "$commit" &&
    git -C "$log.git" bundle create -q "$log.bundle" HEAD; }; then
    die 2 'the code cannot be packed'
  fi
  gcloud storage cp "$log.bundle" "$bucket/code/$commit.bundle" --quiet 2> "$error" ||
    die_of "--bucket=$bucket cannot be written"
fi

tries=0
back_off() {  # why
  tries=$((tries + 1))
  if [ "$tries" -ge "$retries" ]; then die 75 "no $topology after $tries tries: $1; the same command tries again"; fi
  local seconds  # twice as long each time, but no longer than half an hour
  seconds="$(awk -v first="$retry_seconds" -v tries="$tries" \
    'BEGIN { s = first * 2 ^ (tries - 1); print s < 1800 ? s : 1800 }')"
  say "try $tries of $retries failed, the next in $seconds s: $1"
  pause "$seconds"
}
remove() {  # what was taken away or has failed stands in the way of the next one
  until delete; do back_off "$tpu cannot be deleted"; done
}
create() {
  say "asks for $type"
  if tpus queued-resources create "$tpu" "--node-id=$tpu" "--accelerator-type=$type" "--runtime-version=$runtime_version" \
    "${spot[@]}" --quiet 2> "$error"; then return; fi
  # A request that got through though its answer did not is there already, and will be seen soon.
  is_passing || grep -Eqi 'RESOURCE_EXHAUSTED|quota|capacity|stockout|ALREADY_EXISTS|already exists' "$error" ||
    die 2 "$type was refused: $(reason)"
  back_off "$(reason)"
}

get() {  # waits until the TPU is there
  local said='' blind=0
  while true; do
    look
    if [ -n "$theirs" ]; then die 2 "--topology=$topology: $theirs"; fi
    if [ "$now" = unknown ]; then
      blind=$((blind + 1))
      if [ -z "$ours" ] || [ "$blind" -ge "$retries" ]; then die_of "gcloud cannot describe $tpu"; fi
      say "gcloud cannot describe $tpu: $(reason); tried again"
      pause "$poll_seconds"
      continue
    fi
    ours=yes blind=0
    case "$now" in
      ACTIVE)
        tries=0
        return ;;
      absent) create ;;
      SUSPENDING | SUSPENDED) remove ;;
      FAILED)
        remove
        back_off 'the request failed' ;;
      *)
        if [ "$now" != "$said" ]; then say "$tpu is $now"; fi
        said="$now"
        pause "$poll_seconds" ;;
    esac
  done
}

is_lost() {  # whether the TPU was taken away, as far as can be seen: an outage here is no loss there
  local node
  look
  case "$now" in
    absent | DELETING | SUSPENDING | SUSPENDED | FAILED) return 0 ;;
    unknown)
      say "gcloud cannot describe $tpu: $(reason)"
      return 1 ;;
    *) ;;
  esac
  if ! node="$(tpus tpu-vm describe "$tpu" '--format=value(state)' 2> "$error")"; then
    is_absent
    return
  fi
  case "$node" in
    PREEMPTED | TERMINATED | STOPPING | STOPPED | DELETING) return 0 ;;
    *) return 1 ;;
  esac
}

bundle="$(quote "$bucket/code/$commit.bundle")"
install="test -e $home/.git || { gcloud storage cp $bundle code.bundle --quiet && \
git -c advice.detachedHead=false clone --quiet code.bundle $home; } && bash $home/launch/install.sh"
run="cd $home && $(quote .venv/bin/python -m launch.on_vm run "--name=$tpu" "--topology=$topology" "--run=$bucket/$workdir" \
  "--data_dir=$bucket/data")"
follow() {  # lines known; shows each further line of the trainer's log once, and leaves in $log what there is to know
  local line number known="$1"
  while IFS= read -r line; do
    case "$line" in
      'launch: the trainer ended with code '* | 'launch: this TPU trains '*) echo "$line" ;;
      [0-9]*$'\t'*)
        number="${line%%$'\t'*}"
        # gcloud runs its command again when the connection breaks, and the log is read again from the same line on.
        if [[ "$number" =~ ^[0-9]{1,9}$ ]] && [ "$number" -gt "$known" ]; then
          known="$number"
          printf '%s\n' "${line#*$'\t'}" 2> /dev/null >&3 || exec 3> /dev/null
        fi ;;
      *) ;;
    esac
  done 3>&1 > "$log"
  echo "known $known" >> "$log"
}
broken=0
while true; do
  get
  say "$tpu is ACTIVE; installs the code on every machine"
  remote all "$install" 2>&1 &
  if wait "$!"; then
    known=0 silent=0 broken=0
    say "trains; what follows is the trainer's"
    while true; do
      # What ssh itself says is no line of the trainer's log.
      remote 0 "$run --after=$known --numbered -- $(quote "${trainer[@]}")" | follow "$known" &
      wait "$!"  # for the one that follows, which has then written all
      before="$known" known="$(sed -n 's/^known //p' "$log")"
      known="${known:-$before}"  # where nothing can be written here, as on a full disk, the round counts as silent
      ended="$(sed -n 's/^launch: the trainer ended with code //p' "$log" | tail -n 1)"
      theirs="$(grep -m 1 '^launch: this TPU trains ' "$log")"
      if [ -n "$theirs" ]; then die 2 "${theirs#launch: }"; fi
      case "$ended" in
        0 | 2 | 3) exit "$ended" ;;
        *) ;;
      esac
      if is_lost; then break; fi
      case "$ended" in
        '') if [ "$known" -eq "$before" ]; then silent=$((silent + 1)); else silent=0; fi ;;
        75) silent=0 ;;  # the machine had it stop, as for maintenance, its state saved; nothing is broken
        *) broken=$((broken + 1)) silent=0 ;;
      esac
      if [ "$broken" -gt "$restarts" ] || [ "$silent" -ge "$retries" ]; then
        die 1 "the trainer broke $broken times, the connection $silent times in a row, last code ${ended:-unknown}"
      fi
      say "the TPU is still there; looks on again"
      pause "$poll_seconds"
    done
  elif ! is_lost; then
    broken=$((broken + 1))
    if [ "$broken" -gt "$restarts" ]; then die 1 'the code cannot be installed'; fi
    pause "$poll_seconds"
    continue
  fi
  say "$tpu was taken away; it is asked for again"
  remove
  broken=0
done
