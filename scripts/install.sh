#!/bin/sh
# Installs dewy from a release: curl -fsSL https://…/releases/latest/download/install.sh | sh
# With options: … | sh -s -- --version v1.2.3. For any POSIX shell, with curl or wget.
{ # The closing brace is the last line: of a download that was cut nothing is run.
set -u

# Where the releases are; scripts/build writes it into the script that a release holds.
releases_url=

usage() {
  cat <<'HELP'
Usage: install.sh [options]

Installs dewy, or replaces the one that is there in one step; that one stays as dewy.previous.

  --version TAG         Release to install, such as v1.2.3 (DEWY_VERSION; default: the latest)
  --prefix DIR          Installs DIR/bin/dewy (DEWY_PREFIX; default: /usr/local as root, else ~/.local)
  --base-url URL        A mirror that has latest/download/FILE and download/TAG/FILE (DEWY_BASE_URL)
  --minisign-key KEY    Refuse what SHA256SUMS.minisig does not vouch for; a public key or its file (DEWY_MINISIGN_KEY)
  --cosign-key FILE     Refuse what SHA256SUMS.sigstore.json does not vouch for (DEWY_COSIGN_KEY)
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

# Without the password that a mirror's URL may hold.
shown() { printf '%s\n' "$1" | sed 's|//[^/@]*@|//|g'; }

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
    http://localhost* | http://127.*) protocols='=http,https' ;;
    http://?*)
      protocols='=http,https'
      [ -n "$minisign_key$cosign_key" ] ||
        say "warning: over http nobody vouches for what comes; take https or --minisign-key" >&2 ;;
    '') die "this copy of the script does not know where the releases are; say so with --base-url URL" ;;
    *) die "--base-url $(shown "$base_url"): must begin with https://" ;;
  esac
  case "$version" in
    latest) url=$base_url/latest/download ;;
    *) url=$base_url/download/$version ;;
  esac
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
  elif [ ! -e "$glibc" ]; then
    die "neither glibc ($glibc) nor musl ($musl) is here, and dewy needs one of them"
  fi
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
  elif have wget; then fetcher=wget
  else die "curl or wget is needed" "apt-get install -y curl, or apk add curl"
  fi
  if have sha256sum; then hasher=sha256sum
  elif have shasum; then hasher=shasum
  elif have openssl; then hasher=openssl
  else die "sha256sum, shasum or openssl is needed to check what is downloaded"
  fi
  [ -z "$minisign_key" ] || have minisign || die "--minisign-key: minisign is not installed" "apt-get install -y minisign"
  [ -z "$cosign_key" ] || have cosign || die "--cosign-key: cosign is not installed"
}

sha256_of() {
  case "$hasher" in
    sha256sum) sum=$(sha256sum <"$1") ;;
    shasum) sum=$(shasum -a 256 <"$1") ;;
    openssl) sum=$(openssl dgst -sha256 -r <"$1") ;;
  esac
  printf '%s\n' "${sum%% *}"
}

# Beside the target, so that a rename is enough and a full disk shows before anything is changed.
make_stage() {
  [ ! -d "$target" ] || die "$target is a directory; move it away, or choose another --prefix"
  make_directory "$bin"
  # What a killed run left.
  find "$bin" -maxdepth 1 -name '.dewy-install.*' -mmin +1440 -exec rm -rf {} + 2>/dev/null
  stage=$(mktemp -d "$bin/.dewy-install.XXXXXX" 2>/dev/null) || { stage=; no_access "$bin"; }
}

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
  "$@" </dev/null &
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
    interruptible curl -fsSL --proto "$protocols" --connect-timeout 20 --speed-limit 1 --speed-time 30 \
      --max-time "$limit" -o "$2" "$1" 2>"$stage/trouble"
  else
    # What GNU's and BusyBox's both know.
    set -- wget -nv -t 1 -T 30 -O "$2" "$1"
    ! have timeout || set -- timeout "$limit" "$@"
    interruptible "$@" 2>"$stage/trouble" || return 1
    # BusyBox's own TLS, without Alpine's ssl_client, takes any certificate.
    if grep -q 'validation not implemented' "$stage/trouble" && [ -z "$minisign_key$cosign_key" ]; then
      die "this wget does not check the server's certificate; install curl and run it again"
    fi
  fi
}

# The answer is in `found`; what fails otherwise ends the script.
fetch() { # file of the release
  found=no
  try=1
  until download "$url/$1" "$stage/$1"; do
    if grep -qiE 'error:? (HTTP/[0-9.]+ )?(40[0134]|410)' "$stage/trouble"; then return 0; fi
    # Not even the downloader's words may have found room.
    if ! { echo probe >"$stage/probe"; } 2>/dev/null || grep -qiE 'no space|quota|failure writing' "$stage/trouble"; then
      die "there is no room for $1 in $bin" "make room (about 300 MB) or choose another --prefix"
    fi
    # Some explain themselves at length, others show progress before.
    trouble=$(grep -E '^curl: |ERROR' "$stage/trouble" | head -n 1)
    [ -n "$trouble" ] || trouble=$(sed -n '/[^[:space:]]/h;${g;p;}' "$stage/trouble")
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
  if [ -z "$minisign_key$cosign_key" ]; then
    say "signature: not checked, as no key was given (--minisign-key, --cosign-key)"
    return 0
  fi
  [ -z "$minisign_key" ] || check_minisign
  [ -z "$cosign_key" ] || check_cosign
}

check_minisign() {
  fetch SHA256SUMS.minisig
  [ "$found" = yes ] || die "this release has no signature SHA256SUMS.minisig"
  if [ -f "$minisign_key" ]; then by=-p; else by=-P; fi
  minisign -V -q "$by" "$minisign_key" -x "$stage/SHA256SUMS.minisig" -m "$stage/SHA256SUMS" >/dev/null 2>&1 </dev/null ||
    die "the signature SHA256SUMS.minisig is not by the key that was given" "do not trust this release"
  say "signature: SHA256SUMS is signed by the minisign key that was given"
}

check_cosign() {
  fetch SHA256SUMS.sigstore.json
  [ "$found" = yes ] || die "this release has no signature SHA256SUMS.sigstore.json"
  limited 60 cosign verify-blob --key "$cosign_key" --bundle "$stage/SHA256SUMS.sigstore.json" "$stage/SHA256SUMS" \
    >/dev/null 2>&1 </dev/null ||
    die "the signature SHA256SUMS.sigstore.json is not by the key that was given" "do not trust this release"
  say "signature: SHA256SUMS is signed by the cosign key that was given"
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
  case "$code $answer" in
    "0 dewy version: "*) ;;
    132*) die "the new dewy does not run on this processor: it is too old" ;;
    *"loading shared library"* | *"cannot open shared object"*)
      die "the new dewy does not run here: $answer" "on Alpine: apk add libstdc++ libgcc" ;;
    *GLIBC*) die "the new dewy does not run here: this system's glibc is too old: $answer" ;;
    *) die "the new dewy does not run here (exit code $code): $answer" ;;
  esac
  answer=${answer#dewy version: }
  installed=${answer%% *}
  [ "$version" = latest ] || [ "$version" = "$installed" ] ||
    die "the server has $installed where $version should be" "check --base-url"
}

# A rename disturbs no agent that runs: its file goes on without a name.
put_in_place() {
  kept=
  if [ -e "$target" ]; then
    { ln "$target" "$stage/previous" || cp -p "$target" "$stage/previous"; } 2>/dev/null || no_access "$bin"
    kept="; the one before is $target.previous"
  fi
  sync "$stage/$asset" 2>/dev/null
  # Refused where both are the same file already, as a killed run leaves them.
  [ -z "$kept" ] || mv -f "$stage/previous" "$target.previous" 2>/dev/null || [ -e "$target.previous" ] || no_access "$bin"
  mv -f "$stage/$asset" "$target" 2>/dev/null || no_access "$bin"
  sync "$bin" 2>/dev/null
  say "dewy $installed is in $target$kept"
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

install() {
  check_url
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
    say "it is in $target already"
  else
    fetch_checked "$asset"
    try_it
    put_in_place
  fi
  [ "$units" = no ] || install_units
  outcome=done
  tell_path
}

uninstall() {
  if [ -e "$unit_dir/dewy@.service" ] && have systemctl && systemctl -q is-active dewy.service 'dewy@*.service' 2>/dev/null; then
    die "agents run by systemd; list them with: systemctl list-units 'dewy*'" "stop each: systemctl disable --now dewy@NAME"
  fi
  outcome="not all could be removed"
  gone=
  for file in "$target" "$target.previous" "$unit_dir/dewy.service" "$unit_dir/dewy@.service" \
    "$users_dir/dewy.conf"; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    rm -f "$file" 2>/dev/null || no_access "$(dirname "$file")"
    say "removed $file"
    gone=yes
  done
  outcome=done
  [ -n "$gone" ] || { say "there is no dewy in $bin"; return 0; }
  find "$bin" -maxdepth 1 -name '.dewy-install.*' -exec rm -rf {} + 2>/dev/null
  rmdir "$unit_dir" "$prefix/lib/systemd" "$users_dir" 2>/dev/null
  [ "$prefix" = /usr/local ] || rmdir "$bin" "$prefix" 2>/dev/null
  reload_units
  say "left where they are: what agents work in (/var/lib/dewy), settings (/etc/dewy), the user dewy"
  say "agents that run go on until they are stopped, and can't be started again"
}

main() {
  umask 022
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
