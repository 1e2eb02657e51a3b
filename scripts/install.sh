#!/bin/sh
# Installs dewy from a release: curl -fsSL https://…/releases/latest/download/install.sh | sh
# With options: … | sh -s -- --version v1.2.3. For any POSIX shell, with curl or wget.
{ # The closing brace is the last line: of a download that was cut nothing is run.
set -u
LC_ALL=C # What tools say is read.
export LC_ALL

# Where the releases are, and the public keys of who signs them: minisign's, and cosign's without its first and last
# line. scripts/build writes them into the script that a release holds.
releases_url=
minisign_public_key=
cosign_public_key=

usage() {
  cat <<'HELP'
Usage: install.sh [options]

Installs dewy, or replaces the one that is there in one step; that one stays as dewy.previous, unless one that
this script did not install is there already.

  --version TAG         Release to install, such as v1.2.3 (DEWY_VERSION; default: the latest)
  --prefix DIR          Installs DIR/bin/dewy (DEWY_PREFIX; default: /usr/local as root, else ~/.local)
  --base-url URL        A mirror that has latest/download/FILE and download/TAG/FILE (DEWY_BASE_URL; a password
                        belongs only there, as everybody on this host sees a command's arguments)
  --minisign-key KEY    Refuse what SHA256SUMS.minisig does not vouch for; a public key or its file (DEWY_MINISIGN_KEY)
  --cosign-key FILE     Refuse what SHA256SUMS.sigstore.json does not vouch for (DEWY_COSIGN_KEY); cosign 3 or newer
                        Without either: by the publisher's keys, where this script knows them and the tool is there
  --timeout SECONDS     The longest that one download may take (default: 900)
  --systemd             Install the units dewy.service and dewy@.service too; as root, for /usr/local
  --uninstall           Remove what this script installed; never releases, state or settings of apps
  --help                Print this help
HELP
}

say() { printf 'install: %s\n' "$*"; }

die() { # what failed, what to do
  printf 'install: %s\n' "$@" >&2
  exit 1
}

# Without the password that a mirror's URL may hold, and that may hold @ itself.
shown() { printf '%s\n' "$1" | sed 's|//[^/]*@|//|g'; }

have() { command -v "$1" >/dev/null 2>&1; }

read_arguments() {
  version=${DEWY_VERSION:-latest}
  prefix=${DEWY_PREFIX:-}
  base_url=${DEWY_BASE_URL:-$releases_url}
  minisign_key=${DEWY_MINISIGN_KEY:-}
  cosign_key=${DEWY_COSIGN_KEY:-}
  limit=900
  units=no
  action=install
  while [ $# -gt 0 ]; do
    case "$1" in
      --systemd) units=yes ;;
      --uninstall) action=uninstall ;;
      --help | -h) action=help ;;
      --*=*)
        set_option "${1%%=*}" "${1#*=}" ;;
      --*)
        [ $# -gt 1 ] || set_option "$1" ''
        set_option "$1" "$2"
        shift ;;
      *) die "$1 is not known; --help lists the options" ;;
    esac
    shift
  done
  check_arguments
}

set_option() {
  case "$1" in
    --version | --prefix | --base-url | --minisign-key | --cosign-key | --timeout) ;;
    *) die "$1 is not known; --help lists the options" ;;
  esac
  [ -n "$2" ] || die "$1 needs a value; --help lists the options"
  case "$1" in
    --version) version=$2 ;;
    --prefix) prefix=$2 ;;
    --base-url) base_url=$2 ;;
    --minisign-key) minisign_key=$2 ;;
    --cosign-key) cosign_key=$2 ;;
    --timeout) limit=$2 ;;
  esac
}

check_arguments() {
  case "$version" in
    latest) ;;
    *[!0-9A-Za-z.+_-]*) die "--version $version is not a version; such as v1.2.3" ;;
    v[0-9]*) ;;
    [0-9]*) version=v$version ;;
    *) die "--version $version is not a version; such as v1.2.3" ;;
  esac
  case "$limit" in
    '' | 0 | *[!0-9]*) die "--timeout $limit is not a number of seconds" ;;
  esac
  if [ -z "$prefix" ]; then
    if [ "$(id -u)" = 0 ]; then prefix=/usr/local
    elif [ -n "${HOME:-}" ]; then prefix=$HOME/.local
    else die "HOME is not set; say where with --prefix DIR"
    fi
  fi
  case "$prefix" in
    /*) ;;
    *) die "--prefix $prefix is not an absolute path" ;;
  esac
  prefix=${prefix%/}
  bin=$prefix/bin
  target=$bin/dewy
  list=$bin/.dewy-installed # the SHA-256 of all that was ever put in place
  unit_dir=$prefix/lib/systemd/system
  users_dir=$prefix/lib/sysusers.d
  if [ "$units" = yes ] && { [ "$prefix" != /usr/local ] || [ "$(id -u)" != 0 ]; }; then
    die "--systemd is for root and /usr/local: the units name /usr/local/bin/dewy"
  fi
}

check_url() {
  base_url=${base_url%/}
  case "$base_url" in
    https://?*) protocols='=https' ;;
    http://?*)
      protocols='=http,https'
      is_loopback || [ -n "$minisign_key$cosign_key" ] ||
        die "--base-url $(shown "$base_url"): over http nobody vouches for what comes" \
          "take https, or say by --minisign-key or --cosign-key who must have signed it" ;;
    '') die "this copy of the script does not know where the releases are; say so with --base-url URL" ;;
    *) die "--base-url $(shown "$base_url"): must begin with https://" ;;
  esac
  case "$version" in
    latest) url=$base_url/latest/download ;;
    *) url=$base_url/download/$version ;;
  esac
}

# Of base_url, by the host that the downloaders see in it.
is_loopback() {
  host=${base_url#http://}
  host=${host%%[/?#]*}
  host=${host##*@}
  case "$host" in
    '[::1]' | '[::1]':*) return 0 ;;
  esac
  host=${host%%:*}
  case "$host" in
    localhost) return 0 ;;
    *[!0-9.]*) return 1 ;;
    127.*.*.*) return 0 ;;
  esac
  return 1
}

# Says which of a release's files runs here.
find_platform() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) die "there is no dewy for $(uname -s), only for Linux and macOS" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=amd64 machine=x86_64 glibc=/lib64/ld-linux-x86-64.so.2 ;;
    aarch64 | arm64) arch=arm64 machine=aarch64 glibc=/lib/ld-linux-aarch64.so.1 ;;
    *) die "there is no dewy for $(uname -m), only for x86_64 and arm64" ;;
  esac
  libc=
  if [ "$os" = linux ]; then
    find_libc
  elif [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || :)" = 1 ]; then
    arch=arm64 # a shell under Rosetta
  fi
  asset=dewy-$os-$arch$libc
}

find_libc() {
  musl=/lib/ld-musl-$machine.so.1
  if is_musl; then
    libc=-musl
    musl_version=$("$musl" 2>&1 </dev/null | sed -n 's/^Version //p')
    case "$musl_version" in
      0.* | 1.[01].* | 1.2.[0-3] | 1.2.[0-3][!0-9]*)
        die "musl $musl_version is too old: dewy needs 1.2.4, which is in Alpine 3.18 and newer" ;;
    esac
    find_libstdcxx
  elif [ ! -e "$glibc" ]; then
    die "neither glibc ($glibc) nor musl ($musl) is here, and dewy needs one of them"
  fi
}

# A fresh Alpine has none. Where musl looks, as far as a list of its own may say.
find_libstdcxx() {
  for directory in $(tr : ' ' 2>/dev/null <"/etc/ld-musl-$machine.path") $(printf %s "${LD_LIBRARY_PATH:-}" | tr : ' ') \
    /lib /usr/local/lib /usr/lib; do
    [ ! -e "$directory/libstdc++.so.6" ] || return 0
  done
  die "libstdc++.so.6 is not here, and dewy needs it" "on Alpine: apk add libstdc++ libgcc"
}

# Both may be there: glibc's programs on Alpine, musl's on Debian. ldd is of the system's own.
is_musl() {
  case "$(ldd --version 2>&1 </dev/null || :)" in
    *musl*) return 0 ;;
  esac
  [ -e "$musl" ] && [ ! -e "$glibc" ]
}

find_tools() {
  if have curl; then fetcher=curl
  elif have wget; then
    fetcher=wget
    [ "$(shown "$base_url")" = "$base_url" ] ||
      die "--base-url holds a password, which wget would show to everybody on this host" "install curl and run it again"
  else die "curl or wget is needed" "apt-get install -y curl, or apk add curl"
  fi
  find_hasher
  [ -z "$minisign_key" ] || have minisign || die "--minisign-key: minisign is not installed" "apt-get install -y minisign"
  if [ -n "$cosign_key" ] && ! have_cosign; then
    die "--cosign-key: cosign 3 is not installed${cosign_version:+, and $cosign_version is too old}" \
      "install cosign 3 or newer, or take --minisign-key"
  fi
}

find_hasher() {
  if have sha256sum; then hasher=sha256sum
  elif have shasum; then hasher=shasum
  elif have openssl; then hasher=openssl
  else die "sha256sum, shasum or openssl is needed to check what is downloaded, and whose files are here"
  fi
}

# Older ones take a signature that they can't read for a wrong one.
have_cosign() {
  cosign_version=
  have cosign || return 1
  cosign_version=$(limited 60 cosign version 2>&1 </dev/null | sed -n 's/^GitVersion:[^0-9]*//p')
  case "$cosign_version" in
    '' | [012].*) return 1 ;;
  esac
}

sha256_of() {
  case "$hasher" in
    sha256sum) sum=$(sha256sum <"$1") ;;
    shasum) sum=$(shasum -a 256 <"$1") ;;
    openssl) sum=$(openssl dgst -sha256 -r <"$1") ;;
  esac
  printf '%s\n' "${sum%% *}"
}

# Not another's, such as the Go original.
is_ours() { # file
  [ -f "$1" ] || return 1
  found_sum=$(sha256_of "$1" 2>/dev/null)
  [ -n "$found_sum" ] && grep -qF "$found_sum" "$list" 2>/dev/null
}

# Before it is put in place: killed in between, the list has a line too many at worst.
remember() { # SHA-256
  grep -qF "$1" "$list" 2>/dev/null || { printf '%s\n' "$1" >>"$list"; } 2>/dev/null || no_access "$bin"
}

# Beside the target, so that a rename is enough and a full disk shows before anything is changed.
make_stage() {
  for file in "$target" "$target.previous"; do
    [ ! -d "$file" ] || die "$file is a directory; move it away, or choose another --prefix"
  done
  make_directory "$bin"
  remove_stages
  stage=$(mktemp -d "$bin/.dewy-install.$$.XXXXXX" 2>/dev/null) || { stage=; no_access "$bin"; }
}

# What killed runs left; by now another process may have the number of one.
remove_stages() {
  leftovers=
  for left in "$bin"/.dewy-install.*; do
    owner=${left#"$bin/.dewy-install."}
    owner=${owner%%.*}
    if [ ! -d "$left" ]; then continue; fi
    if is_alive "$owner" && [ -z "$(find "$left" -prune -mmin +1440 2>/dev/null)" ]; then continue; fi
    rm -rf "$left" 2>/dev/null || leftovers="$leftovers $left"
  done
}

# Also another user's.
is_alive() { kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ]; }

make_directory() {
  [ ! -d "$1" ] || return 0
  make_directory "$(dirname "$1")"
  if mkdir "$1" 2>/dev/null; then
    made="$1
$made"
  else
    [ -d "$1" ] || no_access "$(dirname "$1")"
  fi
}

no_access() {
  die "cannot write in $1" "run it as root, or choose a --prefix that is yours (and a disk that is neither full nor read-only)"
}

# A signal is seen at once only while the shell itself waits.
interruptible() {
  "$@" <<INPUT &
$input
INPUT
  child=$!
  wait "$child"
  code=$?
  child=
  return "$code"
}

limited() { # seconds, command
  if have timeout; then timeout "$@"
  else
    shift
    "$@"
  fi
}

download() { # URL, file
  if [ "$fetcher" = curl ]; then
    # The URL comes by the input, as it may hold a password.
    input="url = \"$(printf '%s\n' "$1" | sed 's/[\\"]/\\&/g')\""
    # -q comes first: what ~/.curlrc allows, such as any certificate, is not for this.
    interruptible curl -q -K - -fsSL --proto "$protocols" --connect-timeout 20 --speed-limit 1 --speed-time 30 \
      --max-time "$limit" -o "$2" 2>"$stage/trouble"
  else
    # What GNU's and BusyBox's both know; -S tells where it is led.
    set -- wget -nv -S -t 1 -T 30 -O "$2" "$1"
    ! have timeout || set -- timeout "$limit" "$@"
    interruptible "$@" 2>"$stage/trouble" || return 1
    # BusyBox's own TLS, without Alpine's ssl_client, takes any certificate.
    if grep -q 'validation not implemented' "$stage/trouble" && [ -z "$minisign_key$cosign_key" ]; then
      die "this wget does not check the server's certificate; install curl and run it again"
    fi
    case "$protocols" in
      =https) check_way ;;
    esac
  fi
}

# wget goes from https to http where a server leads it there, and somebody in between may have answered.
check_way() {
  if grep -qiE '^ *location:[[:space:]]*http:|URL: *http:' "$stage/trouble"; then
    die "$(shown "$url") leads from https to http" "do not trust it; check --base-url"
  fi
  grep -q '^ *HTTP/' "$stage/trouble" ||
    die "this wget does not say whether it left https; install curl and run it again"
}

# What the server answered last, as curl says it, and both kinds of wget.
http_status() {
  sed -n -e 's/.*error:* \(HTTP\/[0-9.]* \)*\([0-9][0-9][0-9]\).*/\2/p' \
    -e 's/^ *HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$stage/trouble" | tail -n 1
}

# The answer is in `found`; what fails otherwise ends the script.
fetch() { # file of the release
  found=no
  try=1
  until download "$url/$1" "$stage/$1"; do
    case "$(http_status)" in
      400 | 404 | 410) return 0 ;;
      401 | 403)
        die "$(shown "$url/$1") is refused: HTTP $(http_status)" \
          "check who may read there (--base-url may hold a user and password), and that the release is there" ;;
    esac
    # Not even the downloader's words may have found room.
    if ! { echo probe >"$stage/probe"; } 2>/dev/null || grep -qiE 'no space|quota|failure writing' "$stage/trouble"; then
      die "there is no room for $1 in $bin" \
        "make room (about 300 MB) or choose another --prefix${leftovers:+; a killed run left$leftovers}"
    fi
    # Some explain themselves at length, others show progress before.
    trouble=$(grep -E '^curl: |ERROR' "$stage/trouble" | head -n 1)
    [ -n "$trouble" ] || trouble=$(grep '^[^ ]' "$stage/trouble" | tail -n 1) # an answer's headers are indented
    [ "$try" -lt 3 ] || die "$(shown "$url/$1") could not be downloaded: $(shown "${trouble:-it took too long}")" \
      "check the network (and HTTPS_PROXY), then run it again"
    interruptible sleep "$try"
    try=$((try + 1))
  done
  found=yes
}

# By what vouches for everything else.
fetch_sums() {
  fetch SHA256SUMS
  [ "$found" = yes ] || die "$(shown "$url") has no release of dewy" "check --version and --base-url"
  checked=
  [ -z "$minisign_key" ] || check_minisign "$minisign_key" "key that was given"
  [ -z "$cosign_key" ] || check_cosign "$cosign_key" "key that was given"
  [ -n "$checked" ] || check_publisher
  [ -n "$checked" ] || say "signature: not checked, as $reason"
}

# Unasked, and only by tools that are there.
check_publisher() {
  reason="no key was given (--minisign-key, --cosign-key)"
  [ -z "$minisign_public_key$cosign_public_key" ] || reason="no tool for it is installed (minisign, or cosign 3)"
  if [ -n "$minisign_public_key" ] && have minisign; then
    check_minisign "$minisign_public_key" "publisher's key"
  elif [ -n "$cosign_public_key" ] && have_cosign; then
    printf '%s\n' '-----BEGIN PUBLIC KEY-----' "$cosign_public_key" '-----END PUBLIC KEY-----' >"$stage/cosign.pub"
    check_cosign "$stage/cosign.pub" "publisher's key"
  fi
}

check_minisign() { # key or its file, whose
  fetch_signature SHA256SUMS.minisig
  if [ -f "$1" ]; then by=-p; else by=-P; fi
  vouch "$2" minisign -V "$by" "$1" -x "$stage/SHA256SUMS.minisig" -m "$stage/SHA256SUMS"
}

check_cosign() { # the key's file, whose
  fetch_signature SHA256SUMS.sigstore.json
  vouch "$2" cosign verify-blob --key "$1" --bundle "$stage/SHA256SUMS.sigstore.json" "$stage/SHA256SUMS"
}

fetch_signature() { # file of the release
  signature=$1
  fetch "$1"
  [ "$found" = yes ] || die "this release has no signature $1" "do not trust it, unless it is older than its publisher's key"
}

vouch() { # by whose key, command
  whose=$1
  shift
  if limited 60 "$@" >/dev/null 2>"$stage/trouble" </dev/null; then
    checked=yes
    say "signature: SHA256SUMS is signed by the $1 $whose"
    return 0
  fi
  awk -v tool="$1" '{ print "install: " tool ": " $0 }' "$stage/trouble" >&2
  # A tool that can't read a key, or hears nothing, has not found anything wrong.
  if grep -qiE 'verification failed|key id|invalid signature|verify(ing)? signature|not match|mismatch' "$stage/trouble"; then
    die "the signature $signature is not by the $whose" "do not trust this release"
  fi
  die "the signature $signature could not be checked by $1" "see what $1 says above"
}

# Puts what is published for a file into `expected`.
look_up_sum() {
  expected=
  while read -r sum name; do
    if [ "${name#\*}" = "$1" ]; then expected=$sum; fi
  done <"$stage/SHA256SUMS"
  case "$expected" in
    *[!0-9a-f]*) expected= ;;
  esac
  [ "${#expected}" = 64 ] ||
    die "$(shown "$url/SHA256SUMS") names no $1" "check --version and --base-url: is this a release of dewy?"
}

fetch_checked() { # file of the release
  look_up_sum "$1"
  fetch "$1"
  [ "$found" = yes ] || die "$(shown "$url/$1") is not there, though SHA256SUMS names it" "try again later, or another --version"
  [ "$(sha256_of "$stage/$1")" = "$expected" ] ||
    die "the SHA-256 of $1 is not the one in SHA256SUMS: damaged, tampered with, or published just now" \
      "run it again; if that does not help, do not trust this release"
}

# Before it takes the other one's place.
try_it() {
  chmod 755 "$stage/$asset"
  answer=$(limited 60 "$stage/$asset" --version 2>&1 </dev/null)
  code=$?
  line=$(printf '%s\n' "$answer" | head -n 1)
  case "$code $answer" in
    "0 dewy version: "*) ;;
    132*) die "the new dewy does not run on this processor: it is too old" ;;
    126*[Pp]ermission*)
      die "nothing may be run in $bin: $line" "its disk may be mounted noexec: choose another --prefix" ;;
    *"loading shared library"* | *"cannot open shared object"*)
      die "the new dewy does not run here: $line" "on Alpine: apk add libstdc++ libgcc" ;;
    *GLIBC*) die "the new dewy does not run here: this system's glibc is too old: $line" ;;
    *) die "the new dewy does not run here (exit code $code): $line" ;;
  esac
  answer=${answer#dewy version: }
  installed=${answer%% *}
  [ "$version" = latest ] || [ "$version" = "$installed" ] ||
    die "the server has $installed where $version should be" "check --base-url"
}

# Numbers as numbers, and 1.0.0-rc.1 before 1.0.0.
is_older() { # version, than which
  awk -v one="${1%%+*}" -v other="${2%%+*}" 'BEGIN {
    split(part(one, 1), a, "."); split(part(other, 1), b, ".")
    for (i = 1; i <= 3; i++) if (a[i] + 0 != b[i] + 0) exit a[i] + 0 > b[i] + 0
    one = part(one, 2); other = part(other, 2)
    if (one == other || one == "") exit 1
    if (other == "") exit 0
    split(one, a, "."); split(other, b, ".")
    for (i = 1; i < 9 && a[i] == b[i]; i++) {}
    if (a[i] ~ /^[0-9]+$/ && b[i] ~ /^[0-9]+$/) exit a[i] + 0 > b[i] + 0
    exit a[i] "" >= b[i] ""
  }
  function part(version, which,   dash) {
    sub(/^v/, "", version)
    dash = index(version, "-")
    if (which == 1) return dash ? substr(version, 1, dash - 1) : version
    return dash ? substr(version, dash + 1) : ""
  }'
}

# The latest may be older: of a mirror that is behind, or of an attacker who wants an old fault back.
check_downgrade() {
  is_ours "$target" || return 0 # other programs count in another way
  present=$(limited 60 "$target" --version 2>/dev/null </dev/null)
  case "$present" in
    "dewy version: v"[0-9]*) present=${present#dewy version: } present=${present%% *} ;;
    *) return 0 ;;
  esac
  is_older "$installed" "$present" || return 0
  [ "$version" != latest ] ||
    die "the latest there, $installed, is older than $present in $target" "to go back to it: --version $installed"
  say "note: $installed is older than $present, which it replaces" >&2
}

# A rename disturbs no agent that runs: its file goes on without a name.
put_in_place() {
  kept=
  sync "$stage/$asset" 2>/dev/null
  [ ! -e "$target" ] || keep_previous
  remember "$expected"
  mv -f "$stage/$asset" "$target" 2>/dev/null || no_access "$bin"
  sync "$bin" 2>/dev/null
  say "dewy $installed is in $target$kept"
  [ -z "$kept" ] || say "agents that run go on with the one before until they are restarted"
}

# What somebody else put there is the way back to it, and can't be downloaded again from here.
keep_previous() {
  if [ -e "$target.previous" ] && ! is_ours "$target.previous"; then
    if is_ours "$target"; then
      kept="; $target.previous stays, as this script did not install it"
      return 0
    fi
    # The same one: a run was killed between its last two steps.
    [ "$(sha256_of "$target")" = "$(sha256_of "$target.previous")" ] ||
      die "this script installed neither $target nor $target.previous, and would replace one" "move one of them away"
  fi
  { ln "$target" "$stage/previous" || cp -p "$target" "$stage/previous"; } 2>/dev/null || no_access "$bin"
  # Refused where both are the same file already.
  mv -f "$stage/previous" "$target.previous" 2>/dev/null || [ -e "$target.previous" ] || no_access "$bin"
  kept="; the one before is $target.previous"
}

install_units() {
  outcome="not all that was asked for is installed"
  put_unit dewy.service "$unit_dir/dewy.service"
  put_unit dewy-template.service "$unit_dir/dewy@.service"
  put_unit dewy.sysusers.conf "$users_dir/dewy.conf"
  ! have systemd-sysusers || systemd-sysusers "$users_dir/dewy.conf" ||
    die "the user dewy, whom the units run as, could not be made" "make it: useradd --system --home-dir /var/lib/dewy dewy"
  reload_units
  say "the units dewy.service and dewy@.service are in $unit_dir; they say at their top how to use them"
}

put_unit() { # file of the release, where
  make_directory "$(dirname "$2")"
  remember "$(sha256_of "$stage/$1")"
  if ! { cp "$stage/$1" "$2.new" && chmod 644 "$2.new" && mv -f "$2.new" "$2"; } 2>/dev/null; then
    rm -f "$2.new"
    no_access "$(dirname "$2")"
  fi
}

reload_units() {
  if [ -d /run/systemd/system ] && have systemctl; then systemctl daemon-reload; fi
}

tell_path() {
  case ":$PATH:" in
    *":$bin:"*) ;;
    *)
      say "$bin is not in PATH; add to your shell's profile: export PATH=\"$bin:\$PATH\""
      return 0 ;;
  esac
  first=$(command -v dewy || :)
  [ "$first" = "$target" ] || say "note: by its name your shell finds another one: ${first:-none}"
}

check_systemd() {
  [ -d /run/systemd/system ] || have systemctl ||
    die "--systemd: there is no systemd here" "install without it, and have what starts services here run: dewy server …"
}

install() {
  check_url
  [ "$units" = no ] || check_systemd
  find_platform
  find_tools
  make_stage
  say "$asset from $(shown "$url")"
  fetch_sums
  if [ "$units" = yes ]; then
    for file in dewy.service dewy-template.service dewy.sysusers.conf; do fetch_checked "$file"; done
  fi
  look_up_sum "$asset"
  if [ -f "$target" ] && [ -x "$target" ] && [ "$(sha256_of "$target")" = "$expected" ]; then
    remember "$expected"
    say "it is in $target already"
  else
    fetch_checked "$asset"
    try_it
    check_downgrade
    put_in_place
  fi
  [ "$units" = no ] || install_units
  outcome=done
  tell_path
}

uninstall() {
  stop_if_running
  find_hasher
  outcome="not all could be removed"
  gone=
  remove_stages
  [ -z "$leftovers" ] || no_access "$bin"
  for file in "$target" "$target.previous" "$unit_dir/dewy.service" "$unit_dir/dewy@.service" \
    "$users_dir/dewy.conf"; do
    if is_ours "$file"; then remove "$file"
    elif [ -e "$file" ] || [ -L "$file" ]; then leave "$file"
    fi
  done
  remove_links
  rm -f "$list" 2>/dev/null || no_access "$bin"
  outcome=done
  [ -n "$gone" ] || { say "there is no dewy in $bin that this script installed"; return 0; }
  # Whose the prefix and its bin are can't be told any more, so they stay.
  rmdir "$unit_dir" "$prefix/lib/systemd" "$users_dir" 2>/dev/null
  reload_units
  tell_left
}

leave() { # what this script did not install
  if [ "$1" = "$target.previous" ] && [ -e "$list" ] && [ ! -e "$target" ] && [ ! -L "$target" ]; then
    mv "$1" "$target" 2>/dev/null || no_access "$bin"
    say "put $1 back as $target"
  else
    say "left where it is, as this script did not install it: $1"
  fi
}

# Also those that wait for their next start.
stop_if_running() {
  if [ ! -e "$unit_dir/dewy@.service" ] || ! have systemctl; then return 0; fi
  running=$(systemctl list-units --plain --no-legend --state=active,activating,reloading,deactivating \
    dewy.service 'dewy@*.service' 2>/dev/null | sed 's/ .*//')
  # shellcheck disable=SC2086 # a list
  [ -z "$running" ] || die "agents run by systemd:$(printf ' %s' $running)" "stop each: systemctl disable --now dewy@NAME"
}

remove() {
  rm -f "$1" 2>/dev/null || no_access "$(dirname "$1")"
  say "removed $1"
  gone=yes
}

# By which the units start at boot, as `systemctl enable` makes them, for instances that may be stopped now.
remove_links() {
  for link in /etc/systemd/system/*.wants/dewy.service /etc/systemd/system/*.wants/dewy@*.service; do
    unit=$(readlink "$link" 2>/dev/null)
    case "$unit" in
      "$unit_dir"/dewy*) [ -e "$unit" ] || remove "$link" ;;
    esac
  done
}

tell_left() {
  for place in /var/lib/dewy /var/lib/dewy-* /var/cache/dewy /var/cache/dewy-* /etc/dewy; do
    [ ! -e "$place" ] || say "left where it is: $place"
  done
  say "left where they are: the directories that agents work in, their settings, the user dewy"
  say "agents that run go on until they are stopped, and can't be started again"
}

main() {
  umask 022
  for tool in uname id sed grep mktemp; do
    have "$tool" || die "$tool is missing" "check PATH, which is $PATH"
  done
  read_arguments "$@"
  case "$action" in
    help) usage; outcome=done ;;
    install) install ;;
    uninstall) uninstall ;;
  esac
}

clean_up() {
  result=$?
  trap - EXIT HUP INT TERM
  [ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
  [ -z "$stage" ] || rm -rf "$stage"
  if [ "$outcome" != done ]; then
    [ -z "$made" ] || printf '%s' "$made" | while IFS= read -r directory; do rmdir "$directory" 2>/dev/null; done
    printf 'install: %s\n' "$outcome" >&2
    [ "$result" != 0 ] || result=1
  fi
  exit "$result"
}

child=
input=
stage=
made=
outcome="nothing was changed"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
main "$@"
exit 0
}
