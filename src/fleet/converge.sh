#!/bin/bash
# Tells how this node's Docker daemon stands, or moves it to the set of certificates that its rack publishes.
#
# template.yaml has a copy of this in an SSM document, whose parameters Run Command puts into the next five lines; the
# document allows no values but those that are listed here. It may be killed anywhere and run again, and several may run
# at once. A daemon that does not come up with the new files gets those back that it ran with.
#
# On standard output is one line, `docker-tls {…}`, whatever happens. No secret is in it, and none is in a parameter:
# commands are kept, by SSM and on this disk. The exit code is 1 for what SSM is to count as a failure, which is down,
# rolled-back and broken, and 0 for everything else.
Action='{{ Action }}'         # observe, move
Id='{{ Id }}'                 # lower-case hex of the rack's name, which its parameters begin with
CA='{{ CA }}'                 # SHA-256 of the CA and of the certificate that the sender means: where others are
Cert='{{ Cert }}'             #   published, nothing is touched, so that a late command moves no node backwards
Containers='{{ Containers }}' # refuse, stop, live-restore: what to do where a restart would stop containers

set -u -o pipefail
umask 077
export LC_ALL=C PATH="$PATH:/usr/local/bin:/usr/sbin"
# For the aws CLI: where many nodes move at once, SSM has too many calls for some.
export AWS_MAX_ATTEMPTS=10 AWS_RETRY_MODE=standard
[ -z "${AWS_SSM_REGION_NAME:-}" ] || export AWS_DEFAULT_REGION="$AWS_SSM_REGION_NAME"

# Where the daemon reads ca.pem, cert.pem and key.pem when it starts, and where it listens.
readonly FILES=/etc
readonly PORT=2376
export PORT
readonly SOCKET=/var/run/docker.sock
# Folders with the same three files: what is published, as read by this run; what the daemon ran with before a move,
# which outlives a run that is killed and a machine that loses power; and what is about to be installed.
readonly NEW=/run/docker-tls.new
readonly BEFORE=/etc/docker-tls.before
readonly PART=/etc/docker-tls.part
readonly LOCK=/run/docker-tls.lock
readonly DAEMON_JSON=/etc/docker/daemon.json
readonly LIVE_RESTORE='{"live-restore": true}'
# What this instance was launched with, and does again at each boot.
readonly LAUNCH_DATA=/var/lib/cloud/instance/user-data.txt

# Seconds. The document's own limit is longer than all of them together.
readonly LOCK_PATIENCE=60
readonly READ_PATIENCE=60
readonly RESTART_PATIENCE=90
readonly TLS_PATIENCE=30
readonly RELOAD_PATIENCE=10
readonly ANSWER_PATIENCE=10
# How many names the line has: it stays under 2,000 characters, of which SSM shows 2,500.
readonly MAX_NAMES=64
readonly MAX_REASON=300

# What is known of the daemon, by observe and ask_engine.
speaks_tls=false
asks=false
presents=
trusts=
keeps_containers=false
containers=
# What was done to it, and why that failed.
did=
why=

main() {
  case $Action in
  move) move ;;
  *) tell ;;
  esac
}

tell() {
  # While a move is at work, what the daemon shows may yet be taken back.
  take_lock || finish busy 0 'another run is at work'
  observe
  $speaks_tls || finish down 1 'the daemon speaks no TLS'
  finish told 0
}

move() {
  take_lock || finish busy 0 'another run is at work'
  trap 'rm -rf "$NEW" "$PART"' EXIT
  observe
  read_published_set
  if runs "$NEW" && $asks; then
    # A run that was killed on the way back leaves other files than those that run.
    is_installed "$NEW" || install_set "$NEW" || finish broken 1 'there is no room for the files in /etc'
    rm -rf "$BEFORE"
    finish moved 0
  fi
  is_meant || finish stale 0 'another set is published than the one that was meant'
  spare_containers
  remember_what_runs || finish broken 1 'there is no room in /etc for a copy of the files'
  install_set "$NEW" || finish broken 1 'there is no room for the files in /etc'
  did=restarted
  if restart && comes_up_with "$NEW"; then
    rm -rf "$BEFORE"
    finish moved 0
  fi
  go_back
}

# What may outlive this run, when it is killed, is started without the lock: with 9>&-.
take_lock() {
  exec 9>"$LOCK" && flock -w "$LOCK_PATIENCE" 9
}

# Ends the run with its line.
finish() { # VERDICT EXIT-CODE [REASON]
  local reason list
  ask_engine
  # Nothing in it ends a text of JSON.
  reason=$(printf %s "${3:-}" | tr -c 'A-Za-z0-9 .,:/()_=-' ' ' | cut -c "1-$MAX_REASON")
  list=$(printf '%s\n' "$trusts" | awk -v max="$MAX_NAMES" '
    { for (i = 1; i <= NF && i <= max; i++) printf "%s\"%s\"", (i > 1 ? "," : ""), $i }')
  printf 'docker-tls {"verdict":"%s","did":"%s","trusts":[%s],"asks":%s,"presents":"%s",' \
    "$1" "$did" "$list" "$asks" "$presents"
  printf '"containers":%s,"keeps_containers":%s,"lasts":"%s","reason":"%s"}\n' \
    "${containers:-0}" "$keeps_containers" "$(how_long_it_lasts)" "$reason"
  exit "$2"
}

# --- What the daemon runs with ---

# What it tells whoever connects, before any certificate is shown to it: whom it trusts and what it presents.
observe() {
  local what hex
  speaks_tls=false
  asks=false
  presents=
  trusts=
  while read -r what hex; do
    case $what in
    presents) presents=$(printf %s "$hex" | from_hex | sha256) ;;
    asks) asks=true ;;
    trusts) trusts="$trusts $(printf %s "$hex" | short_hash)" ;;
    done) speaks_tls=true ;;
    esac
  done < <(timeout 5 bash -c say_hello 2>/dev/null 9>&- | to_hex | read_flight)
}

# In TLS 1.2 everything up to ServerHelloDone is plain. An alert follows the ClientHello, user_canceled, so that the
# daemon ends the connection by itself.
# shellcheck disable=SC2317 # It is called in a bash of its own.
say_hello() {
  exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return
  {
    # A record with a ClientHello of 99 bytes: TLS 1.2, random, no session.
    printf '\x16\x03\x01\x00\x67\x01\x00\x00\x63\x03\x03'
    head -c 32 /dev/urandom
    printf '\x00'
    # Six suites, ECDHE with ECDSA or RSA; no compression.
    printf '\x00\x0c\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\xcc\xa9\xcc\xa8\x01\x00'
    # 46 bytes of extensions: curves X25519, P-256, P-384; uncompressed points;
    printf '\x00\x2e\x00\x0a\x00\x08\x00\x06\x00\x1d\x00\x17\x00\x18\x00\x0b\x00\x02\x01\x00'
    # and signatures: ECDSA, RSA and Ed25519.
    printf '\x00\x0d\x00\x18\x00\x16\x04\x03\x05\x03\x06\x03\x08\x04\x04\x01\x08\x05\x05\x01\x08\x06\x06\x01\x02\x01\x08\x07'
    printf '\x15\x03\x03\x00\x02\x02\x5a'
  } >&3
  # Whatever listens there, it does not fill the memory.
  head -c 200000 <&3
}
export -f say_hello

# Reads the hex of the daemon's answer.
read_flight() {
  awk "$READ_DER"'
    {
      # Messages are cut and joined into records at will.
      for (at = 1; at < length($0); at += 10 + size) {
        size = 2 * number(substr($0, at + 6, 4))
        if (substr($0, at, 2) == "16") flight = flight substr($0, at + 10, size)
      }
      for (at = 1; at + 7 <= length(flight); at += 8 + size) {
        size = 2 * number(substr(flight, at + 2, 6))
        if (at + 7 + size > length(flight)) exit
        message(substr(flight, at, 2), substr(flight, at + 8, size))
      }
    }
    function message(kind, text,  at) {
      if (kind == "0b") print "presents", substr(text, 13, 2 * number(substr(text, 7, 6)))
      if (kind == "0e") print "done"
      if (kind != "0d") return
      print "asks"
      # Behind the kinds of certificates and of signatures.
      at = 3 + 2 * number(substr(text, 1, 2))
      at += 4 + 2 * number(substr(text, at, 4))
      for (at += 4; at + 3 < length(text); at += 4 + 2 * number(substr(text, at, 4)))
        print "trusts", substr(text, at + 4, 2 * number(substr(text, at, 4)))
    }'
}

# Whether the daemon runs with the files in a folder, whatever the order of the CAs. One that asks for no certificate
# shows no CA.
runs() { # FOLDER
  [ -r "$1/ca.pem" ] && [ -r "$1/cert.pem" ] || return 1
  [ -n "$presents" ] && [ "$presents" = "$(first_of "$1/cert.pem")" ] || return 1
  ! $asks || [ "$(sorted "$trusts")" = "$(sorted "$(subjects_of "$1/ca.pem")")" ]
}

sorted() { printf %s "$1" | tr ' ' '\n' | sort; }

# How long the daemon runs with what it runs with. Launch data is compared with the files.
how_long_it_lasts() {
  if starts_old; then
    echo until-start
  elif boots_old; then
    echo until-boot
  else
    echo always
  fi
}

# Whether the daemon would start with another set than it runs with: a run was killed on its way back and the daemon came
# up late, or somebody else has written the files.
starts_old() {
  $speaks_tls && ! { is_pair "$FILES" && runs "$FILES"; }
}

# Asks by the socket: a node need not have a client, and its certificate need not be a client's.
ask_engine() {
  local info running paused
  containers=
  keeps_containers=false
  info=$(curl -s --max-time "$ANSWER_PATIENCE" --unix-socket "$SOCKET" http://docker/info 9>&-) || return
  running=$(printf '%s\n' "$info" | sed -n 's/.*"ContainersRunning":\([0-9]*\).*/\1/p')
  paused=$(printf '%s\n' "$info" | sed -n 's/.*"ContainersPaused":\([0-9]*\).*/\1/p')
  # A restart stops both.
  containers=${running:+$((running + ${paused:-0}))}
  case $info in *'"LiveRestoreEnabled":true'*) keeps_containers=true ;; esac
}

# Whether the next boot brings back other files: those that stand in the launch data. A script there that reads the
# parameter from SSM brings what is published.
boots_old() {
  local data
  # Launch data may be compressed as a whole.
  data=$({ gzip -cdf "$LAUNCH_DATA" || cat "$LAUNCH_DATA"; } 2>/dev/null | tr -d '\0')
  [[ $data == *"$FILES/ca.pem"* && $data != *"$Id-docker-tls-ca-cert"* ]] || return 1
  # BEGIN CERTIFICATE, plain or in base64, where it depends on the place by which characters.
  [[ $data =~ BEGIN\ CERTIFICATE|QkVHSU4gQ0VSVElGSUNBVE|JFR0lOIENFUlRJRklDQVRF|CRUdJTiBDRVJUSUZJQ0FURS ]] || return 1
  data=$(printf '%s\n' "$data" | files_in)
  ! { is_among "$data" "$FILES/ca.pem" && is_among "$data" "$FILES/cert.pem"; }
}

# The files of certificates that launch data holds, each as a line: in base64 on a line of their own or among other
# words, or as they are, between the paths of others.
files_in() {
  local data word
  data=$(cat)
  printf '%s\n' "$data" | sed 's/^[ \t]*//' | pem_blocks /dev/stdin CERTIFICATE by-path | awk -v RS= '{ gsub(/\n/, ","); print }'
  printf '%s\n' "$data" | tr -cs 'A-Za-z0-9+/' '\n' | grep -E '.{200}' | while read -r word; do
    while [ $((${#word} % 4)) != 0 ]; do word+='='; done
    printf %s "$word" | base64 -d 2>/dev/null | as_line
  done
}

# The certificates of a file as a line.
as_line() { pem_blocks /dev/stdin CERTIFICATE | paste -sd , -; }

is_among() { # LINES FILE
  local line
  line=$(as_line <"$2") && [ -n "$line" ] && printf '%s\n' "$1" | grep -xF -e "$line" >/dev/null
}

# --- What is published ---

# Reads it with this instance's role.
read_published_set() {
  local attempt
  rm -rf "$NEW"
  mkdir "$NEW" || finish broken 1 'there is no room in /run'
  # A certificate and its key are not published in one step.
  for attempt in 1 2 3; do
    read_published_files
    is_pair "$NEW" && return
    [ "$attempt" = 3 ] || sleep 2
  done
  finish broken 1 'key and certificate are no pair'
}

read_published_files() {
  local answer part file value
  answer=$(timeout "$READ_PATIENCE" aws ssm get-parameters --with-decryption \
    --names "$Id-docker-tls-ca-cert" "$Id-docker-tls-cert" "$Id-docker-tls-key" \
    --query 'Parameters[].[Name,Value]' --output text 2>"$NEW/error" 9>&-) ||
    finish broken 1 "the parameters cannot be read: $(tail -n 1 "$NEW/error")"
  for part in ca-cert:ca cert:cert key:key; do
    file=$NEW/${part#*:}.pem
    part=${part%:*}
    value=$(printf '%s\n' "$answer" | awk -v name="$Id-docker-tls-$part" '$1 == name { print $2 }')
    [ -n "$value" ] || finish broken 1 "the parameter $part is missing"
    printf %s "$value" | base64 -d >"$file" 2>/dev/null || finish broken 1 "the parameter $part is no base64"
  done
  [ -n "$(certificates "$NEW/ca.pem")" ] || finish broken 1 'the parameter ca-cert has no certificate'
  [ -n "$(certificates "$NEW/cert.pem")" ] || finish broken 1 'the parameter cert has no certificate'
  chmod 644 "$NEW/ca.pem" "$NEW/cert.pem"
}

# Whether it is the set that the sender means. The current CA stands anywhere in a bundle.
is_meant() {
  fingerprints_of "$NEW/ca.pem" | grep -xF "$CA" >/dev/null && [ "$(first_of "$NEW/cert.pem")" = "$Cert" ]
}

# Whether the key in a folder belongs to the certificate there: a private key has a copy of the public one.
is_pair() { # FOLDER
  local key curve public
  key=$(pem_blocks "$1/key.pem" '(.* )?PRIVATE KEY' | head -n 1 | base64 -d 2>/dev/null | to_hex)
  read -r curve public < <(certificates "$1/cert.pem" | head -n 1 | awk "$READ_DER"'{ print curve(), public_key() }')
  [ -n "$key" ] && [ -n "$public" ] || return 1
  # One of an elliptic curve may come without the copy, and is then taken for the right one: unknown is not no. The
  # daemon will tell.
  case $key in
  *"$public"*) return 0 ;;
  # The point of another key: of P-224, P-256, P-384 and P-521.
  *a13c033a0004* | *a14403420004* | *a16403620004* | *a181890381860004*) return 1 ;;
  esac
  case $public in
  04*) case $key in *"$curve"*) return 0 ;; esac ;;
  esac
  return 1
}

# --- Containers ---

# Unless live-restore is on, in this daemon and in the next, a restart stops them.
spare_containers() {
  ask_engine
  ! $keeps_containers || return 0
  if [ -z "$containers" ]; then
    # A daemon that is not there has none to stop; one that does not answer may have.
    systemctl is-active --quiet docker 9>&- || return 0
  fi
  [ "$containers" != 0 ] || return 0
  case $Containers in
  stop) ;;
  live-restore) turn_live_restore_on ;;
  *)
    [ -n "$containers" ] || finish refused 0 'the daemon does not say whether a restart would stop containers'
    finish refused 0 'containers run, and live-restore is off'
    ;;
  esac
}

# Where nothing is configured by file so far. It stays on afterwards.
turn_live_restore_on() {
  local end
  # It is our own where a run was killed here.
  if [ -s "$DAEMON_JSON" ] && [ "$(cat "$DAEMON_JSON")" != "$LIVE_RESTORE" ]; then
    finish refused 0 'containers run, live-restore is off, and there is a daemon.json already'
  fi
  [ -d "${DAEMON_JSON%/*}" ] || mkdir -m 755 "${DAEMON_JSON%/*}"
  if ! { printf '%s\n' "$LIVE_RESTORE" >"$DAEMON_JSON.new" && chmod 644 "$DAEMON_JSON.new" &&
    mv -f "$DAEMON_JSON.new" "$DAEMON_JSON"; }; then
    rm -f "$DAEMON_JSON.new"
    finish broken 1 'there is no room for daemon.json'
  fi
  systemctl reload docker 9>&- >/dev/null 2>&1
  end=$((SECONDS + RELOAD_PATIENCE))
  while ask_engine; ! $keeps_containers; do
    if [ "$SECONDS" -ge "$end" ]; then
      # With a flag that says otherwise, a daemon takes no such file, and would not start with it either.
      rm -f "$DAEMON_JSON"
      finish refused 0 'containers run, and live-restore could not be turned on'
    fi
    sleep 0.2
  done
}

# --- Files and restarts ---

# Keeps a copy of the files that the daemon runs with: the way back. Of one that is down nobody knows more than what is
# there, unless a run was killed before it could go back.
remember_what_runs() {
  if is_pair "$FILES" && { runs "$FILES" || { ! $speaks_tls && [ ! -d "$BEFORE" ]; }; }; then
    # In a folder that is whole when it has its name.
    rm -rf "$PART" && mkdir "$PART" &&
      cp -p "$FILES/ca.pem" "$FILES/cert.pem" "$FILES/key.pem" "$PART" &&
      sync "$PART"/*.pem &&
      rm -rf "$BEFORE" && mv "$PART" "$BEFORE"
  elif $speaks_tls && ! runs "$BEFORE"; then
    # Left by an earlier run, and older than what runs.
    rm -rf "$BEFORE"
  fi
}

# Puts the files of a folder where the daemon reads them when it starts: all or, where there is no room, none.
install_set() { # FOLDER
  rm -rf "$PART"
  if mkdir "$PART" && cp -p "$1/ca.pem" "$1/cert.pem" "$1/key.pem" "$PART" && sync "$PART"/*.pem; then
    mv -f "$PART/ca.pem" "$PART/cert.pem" "$PART/key.pem" "$FILES" && rmdir "$PART"
  else
    rm -rf "$PART"
    return 1
  fi
}

is_installed() { # FOLDER
  local name
  for name in ca cert key; do
    cmp -s "$1/$name.pem" "$FILES/$name.pem" || return 1
  done
}

# Restarts the daemon, and waits until it speaks TLS.
restart() {
  local end
  # systemd starts what was started often no more.
  systemctl reset-failed docker 9>&- >/dev/null 2>&1
  if ! why=$(timeout "$RESTART_PATIENCE" systemctl restart docker 2>&1 9>&-); then
    why=${why:-"the daemon has not started after $RESTART_PATIENCE s"}
    return 1
  fi
  end=$((SECONDS + TLS_PATIENCE))
  while observe; ! $speaks_tls; do
    if [ "$SECONDS" -ge "$end" ]; then
      why="the daemon speaks no TLS after $TLS_PATIENCE s"
      return 1
    fi
    sleep 0.2
  done
}

# Whether the daemon that was started just now has taken the files of a folder.
comes_up_with() { # FOLDER
  if ! $asks; then
    why='the daemon asks for no client certificate'
  elif ! runs "$1"; then
    why='the daemon runs with another set than the one that it was given'
  else
    return 0
  fi
  return 1
}

# The end of a move that failed.
go_back() {
  local reason=$why
  if [ -d "$BEFORE" ] && install_set "$BEFORE"; then
    did='restarted twice'
    if restart && runs "$BEFORE"; then
      rm -rf "$BEFORE"
      finish rolled-back 1 "$reason"
    fi
  fi
  # One that does not start anew may never have stopped.
  observe
  if [ -d "$BEFORE" ] && is_installed "$BEFORE" && runs "$BEFORE"; then
    rm -rf "$BEFORE"
    finish rolled-back 1 "$reason"
  fi
  finish down 1 "$reason"
}

# --- Bytes, PEM and DER ---

to_hex() { od -An -v -tx1 | tr -d ' \n'; }
from_hex() { printf '%b' "$(sed 's/../\\x&/g')"; }
sha256() { sha256sum | cut -c 1-64; }
# What names a CA in the line: the first 16 digits of its subject's hash.
short_hash() { from_hex | sha256 | cut -c 1-16; }

# The base64 of each PEM block of a kind, as Go reads them: what has headers is skipped. Where it is asked for, an empty
# line for each path between them.
pem_blocks() { # FILE KIND [by-path]
  tr -d '\r' <"$1" | awk -v kind="$2" -v by_path="${3:-}" '
    { sub(/[ \t]+$/, "") }
    $0 ~ "^-----BEGIN " kind "-----$" { inside = 1; text = ""; next }
    $0 ~ "^-----END " kind "-----$" { if (inside && text != "") print text; inside = 0; next }
    /:/ { inside = 0 }
    inside { gsub(/[ \t]/, ""); text = text $0 }
    !inside && by_path != "" && /\/[A-Za-z0-9_.-]+\// { print "" }'
}

# The hex of each certificate in a file; of the same one once, as Go has it.
certificates() { # FILE
  local block der
  pem_blocks "$1" CERTIFICATE | while read -r block; do
    der=$(printf %s "$block" | base64 -d 2>/dev/null | to_hex) && printf '%s\n' "$der"
  done | awk '!seen[$0]++'
}

first_of() { certificates "$1" | head -n 1 | from_hex | sha256; }

fingerprints_of() { # FILE
  local certificate
  certificates "$1" | while read -r certificate; do
    printf %s "$certificate" | from_hex | sha256
  done
}

# Whom a bundle trusts, as observe has it.
subjects_of() { # FILE
  local subject list=
  while read -r subject; do
    list="$list $(printf %s "$subject" | short_hash)"
  done < <(certificates "$1" | awk "$READ_DER"'{ print subject() }')
  printf %s "$list"
}

# For awk, functions on a line of hex.
# shellcheck disable=SC2016 # These are awk's variables.
READ_DER='
  function number(hex,  i, n) {
    n = 0
    for (i = 1; i <= length(hex); i++) n = 16 * n + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return n
  }
  # Sets body and end, of the element at a place.
  function enter(at,  size, digits) {
    size = number(substr($0, at + 2, 2))
    body = at + 4
    if (size > 127) {
      digits = 2 * (size - 128)
      size = number(substr($0, body, digits))
      body += digits
    }
    end = body + 2 * size
  }
  # The place of an element of the part that is signed: 1 is the serial number, behind the version, if there is one.
  function find(nth,  at, i) {
    enter(1)
    enter(body)
    at = body
    if (substr($0, at, 2) == "a0") nth++
    for (i = 1; i < nth; i++) {
      enter(at)
      at = end
    }
    return at
  }
  function subject(  at) {
    at = find(5)
    enter(at)
    return substr($0, at, end - at)
  }
  # Which curve a public key is of, if it is of any.
  function curve(  at) {
    enter(find(6))
    enter(body)
    enter(body)
    at = end
    enter(at)
    return substr($0, at, end - at)
  }
  # The point of a curve, or modulus and exponent: what stands in the private key, too.
  function public_key(  at) {
    enter(find(6))
    enter(body)
    enter(end)
    at = body + 2
    if (substr($0, at, 2) == "30") {
      enter(at)
      at = body
    }
    return substr($0, at, end - at)
  }'
readonly READ_DER

main
