#!/usr/bin/env bash
# Trains on a Cloud TPU from here to the end and gives it back: the job of launch/tpu_vm.py with nothing but bash, git and gcloud.
#
#     launch/tpu_vm.sh --type=v5litepod-8 --topology=v5e-8 --runtime_version=v2-alpha-tpuv5-lite --zone=us-west4-a \
#       --bucket=gs://my-bucket --workdir=runs/lenet5 [--spot] -- --config=experiments/vision/lenet5.py:mnist
#
# The same command goes on with a job that was stopped. Run it in the project's folder; the machines run the last commit. A job
# that holds the workdir is refused unless it was a process of this machine that is no more; --break_lock takes it from any. What
# needs the config, as whether the batch divides over the chips, is looked at on the TPU's machine, before data are prepared. Exit
# codes are those of dlsuite.main: 0 done, 2 bad input, 3 diverged, 74 the bucket is out of reach, 75 stopped or no capacity,
# 1 any other failure.
set -uo pipefail

type='' topology='' runtime_version='' zone='' bucket='' workdir='' spot=() poll=30 retry=60 retries=20 restarts=3 break_lock=''
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  case "$1" in
    --type=* | --topology=* | --runtime_version=* | --zone=* | --bucket=gs://* | --workdir=*)
      name="${1%%=*}"
      printf -v "${name#--}" '%s' "${1#*=}" ;;
    --poll_seconds=*) poll="${1#*=}" ;;
    --retry_seconds=*) retry="${1#*=}" ;;
    --retries=*) retries="${1#*=}" ;;
    --restarts=*) restarts="${1#*=}" ;;
    --spot) spot=(--spot) ;;
    --break_lock) break_lock=yes ;;
    *)
      echo "tpu_vm.sh: $1 is not understood; see the head of $0" >&2
      exit 2 ;;
  esac
  shift
done
for needed in type topology runtime_version zone bucket workdir; do
  if [ -z "${!needed}" ]; then
    echo "tpu_vm.sh: --$needed is missing; see the head of $0" >&2
    exit 2
  fi
done
if [ "$#" -lt 2 ]; then
  echo "tpu_vm.sh: the trainer's flags are missing: give them behind --, e.g. -- --config=experiments/vision/lenet5.py" >&2
  exit 2
fi
shift

say() { echo "launch: $*"; }
die() {  # code, text
  echo "launch: $2" >&2
  exit "$1"
}
die_of_bucket() {  # its error lies in $log; one that may pass has a code of its own
  local code=2
  if grep -qi '\b\(408\|429\|5[0-9][0-9]\)\b\|timed out\|unreachable\|connection\|network\|resolve' "$log"; then code=74; fi
  die "$code" "--bucket=$bucket cannot be written: $(tail -n 1 "$log")"
}

command -v gcloud > /dev/null || die 2 'gcloud is not on PATH: install the Google Cloud CLI, then run: gcloud auth login'
account="$(gcloud auth list --filter=status:ACTIVE '--format=value(account)')"
[ -n "$account" ] || die 2 'gcloud has no active account: run: gcloud auth login'
commit="$(git rev-parse HEAD)" || die 2 'no git work tree here: run it in the folder of the project'
bucket="${bucket%/}" workdir="${workdir%/}"
# The same name as launch/plan.py's: of two workdirs with one last folder, each has a TPU of its own.
word="${workdir##*/}"
word="$(printf '%s' "${word,,}" | tr -cs 'a-z0-9' -)"
word="${word#-}" word="${word%-}"
tpu="dlsuite-${word:0:40}-$(printf '%s' "$bucket/$workdir" | sha256sum | cut -c 1-6)"
lock="$bucket/$workdir.lock"
home="dlsuite-${commit:0:12}"
log="$(mktemp)"
locked='' mine='' theirs=''

tpus() { gcloud compute tpus "$@" "--zone=$zone"; }
state() { tpus queued-resources describe "$tpu" '--format=value(state.state)' 2> /dev/null; }
remote() {  # worker, command
  tpus tpu-vm ssh "$tpu" "--worker=$1" --quiet '--ssh-flag=-o ServerAliveInterval=15' '--ssh-flag=-o ServerAliveCountMax=4' \
    "--command=$2"
}
delete() {
  say "gives $tpu back"
  tpus queued-resources delete "$tpu" --force --quiet 2> /dev/null
}
quote() { printf '%q ' "$@"; }
generation() { gcloud storage objects describe "$lock" '--format=value(generation)' 2> /dev/null; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<< "$holder"; }
is_dead() {  # whether the lock's holder was a process of this machine and user that is no more
  local process
  process="$(field process)"
  [ "$(field owner)" = "$(id -un)" ] && [ "$(field host)" = "$(uname -n)" ] && [[ "$process" =~ ^[0-9]+$ ]] &&
    ! kill -0 "$process" 2> /dev/null
}

clear_up() {
  code=$?
  trap '' INT TERM HUP
  local signalled=''
  if [ "$code" -ge 128 ]; then signalled=yes code=75; fi
  if [ -n "$locked" ]; then
    now="$(state)"
    if [ -n "$signalled" ] && [ "$now" = ACTIVE ]; then
      remote 0 "cd $home && .venv/bin/python -m launch.on_vm stop --name=$tpu"
    fi
    if [ -n "$now" ] && [ -z "$theirs" ]; then delete; fi
    gcloud storage rm "$lock" ${mine:+"--if-generation-match=$mine"} --quiet 2> /dev/null
  fi
  rm -f "$log" "$log.bundle"
  exit "$code"
}
trap clear_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

owner="{\"owner\": \"$(id -un)\", \"host\": \"$(uname -n)\", \"process\": \"$$\", \"since\": \"$(date -u +%FT%TZ)\"}"
for attempt in 1 2 3; do  # somebody else may take it between our look and our try
  if printf '%s' "$owner" | gcloud storage cp - "$lock" --if-generation-match=0 --quiet 2> "$log"; then
    locked=yes
    break
  fi
  grep -qi '412\|pre-\?condition' "$log" || die_of_bucket
  there="$(generation)"  # before it is read: of what somebody else has made since, nothing is removed
  holder="$(gcloud storage cat "$lock" 2> /dev/null)"
  if [ "$attempt" -eq 3 ] || { [ -n "$holder" ] && [ -z "$break_lock" ] && ! is_dead; }; then
    die 2 "$lock: the workdir is in use: $holder; if that job is no more: --break_lock"
  fi
  [ -z "$there" ] || gcloud storage rm "$lock" "--if-generation-match=$there" --quiet 2> /dev/null
done
mine="$(generation)"
if gcloud storage ls "$bucket/$workdir/result.json" > /dev/null 2>&1; then
  say "the run is complete: $bucket/$workdir"
  exit 0
fi
if ! gcloud storage ls "$bucket/code/$commit.bundle" > /dev/null 2>&1; then
  git bundle create -q "$log.bundle" HEAD || die 2 'the code cannot be packed'
  gcloud storage cp "$log.bundle" "$bucket/code/$commit.bundle" --quiet 2> "$log" || die_of_bucket
fi

tries=0
back_off() {  # why
  tries=$((tries + 1))
  if [ "$tries" -ge "$retries" ]; then die 75 "no $topology after $tries tries: $1; the same command tries again"; fi
  local seconds  # twice as long each time, but no longer than half an hour
  seconds="$(awk -v first="$retry" -v tries="$tries" 'BEGIN { s = first * 2 ^ (tries - 1); print s < 1800 ? s : 1800 }')"
  say "try $tries of $retries failed, the next in $seconds s: $1"
  sleep "$seconds"
}

get() {  # waits until the TPU is there
  local now said='' why
  while true; do
    now="$(state)"
    case "$now" in
      ACTIVE)
        tries=0
        return ;;
      '')
        say "asks for $type"
        if ! why="$(tpus queued-resources create "$tpu" "--node-id=$tpu" "--accelerator-type=$type" \
          "--runtime-version=$runtime_version" "${spot[@]}" --quiet 2>&1)"; then
          if ! grep -qi 'RESOURCE_EXHAUSTED\|quota\|capacity' <<< "$why"; then die 2 "$type was refused: $why"; fi
          back_off "$why"
        fi ;;
      SUSPENDING | SUSPENDED) delete ;;
      FAILED)
        delete
        back_off 'the request failed' ;;
      *)
        if [ "$now" != "$said" ]; then say "$tpu is $now"; fi
        said="$now"
        sleep "$poll" ;;
    esac
  done
}

lost() {
  local now node
  now="$(state)"
  node="$(tpus tpu-vm describe "$tpu" '--format=value(state)' 2> /dev/null)"
  [ "$now" != ACTIVE ] || [ "$node" = PREEMPTED ] || [ "$node" = TERMINATED ]
}

install="test -e $home/.git || { gcloud storage cp $bucket/code/$commit.bundle code.bundle --quiet && \
git -c advice.detachedHead=false clone --quiet code.bundle $home; } && bash $home/launch/install.sh"
run="cd $home && .venv/bin/python -m launch.on_vm run --name=$tpu --topology=$topology --run=$bucket/$workdir \
--data_dir=$bucket/data"
broken=0
while true; do
  get
  say "$tpu is ACTIVE; installs the code on every machine"
  known=0
  if remote all "$install"; then
    say "trains; what follows is the trainer's"
    while true; do
      # In the background, because a signal must not have to wait for it. What ssh itself says is no line of the trainer's log.
      remote 0 "$run --after=$known -- $(quote "$@")" | tee "$log" &
      wait "$!"  # for tee, which has then written all
      known=$((known + $(grep -vc '^launch: the trainer ended' "$log")))
      ended="$(sed -n 's/^launch: the trainer ended with code //p' "$log" | tail -n 1)"
      theirs="$(grep -m 1 '^launch: this TPU trains ' "$log")"
      if [ -n "$theirs" ]; then die 2 "${theirs#launch: }"; fi
      case "$ended" in
        0 | 2 | 3) exit "$ended" ;;
        *) ;;
      esac
      if lost; then break; fi
      # 75: the machine had it stop, as for maintenance, its state saved; nothing is broken.
      if [ -n "$ended" ] && [ "$ended" != 75 ]; then broken=$((broken + 1)); fi
      if [ "$broken" -gt "$restarts" ]; then die 1 "the trainer broke $broken times, last with code $ended"; fi
      say "the TPU is still there; looks on again"
      sleep "$poll"
    done
  elif ! lost; then
    broken=$((broken + 1))
    if [ "$broken" -gt "$restarts" ]; then die 1 'the code cannot be installed'; fi
    sleep "$poll"
    continue
  fi
  say "$tpu was taken away; it is asked for again"
  delete
done
