import { CString, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { lazily, load } from "./libc.ts";

/** Who a user is, by the host's own lists: /etc/passwd and /etc/group, and whatever nsswitch.conf adds to them. */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

type Address = Parameters<typeof read.ptr>[0];

const { i32, u32, pointer } = FFIType;

const libc = lazily(() =>
  load({
    getpwnam: { args: [pointer], returns: pointer },
    getpwuid: { args: [u32], returns: pointer },
    getgrnam: { args: [pointer], returns: pointer },
    getgrouplist: { args: [pointer, u32, pointer, pointer], returns: i32 },
  } as const),
);

/** null: nobody is called so. */
export function userNamed(name: string): PasswdEntry | null {
  return passwdEntry(libc().getpwnam(ptr(cString(name))));
}

export function userNumbered(uid: number): PasswdEntry | null {
  return passwdEntry(libc().getpwuid(uid));
}

export function groupNamed(name: string): number | null {
  const entry = libc().getgrnam(ptr(cString(name)));
  // struct group: name, password, id
  return entry === null ? null : read.u32(entry, 16);
}

/** What initgroups(3) would give: `gid` and the groups that list the user. */
export function groupsOf(name: string, gid: number): number[] {
  const user = cString(name);
  const count = new ArrayBuffer(4);
  const countView = new DataView(count);
  for (let room = 64; ; room *= 4) {
    const groups = new ArrayBuffer(room * 4);
    countView.setInt32(0, room, true);
    if (libc().getgrouplist(ptr(user), gid, ptr(groups), ptr(count)) < 0 && room < maxGroups) continue;
    const found = Math.min(countView.getInt32(0, true), room);
    return [...new Uint32Array(groups, 0, found)];
  }
}

/** The kernel's NGROUPS_MAX. */
const maxGroups = 65_536;

/** struct passwd on 64-bit Linux: name, password, uid, gid, description, home, shell. */
function passwdEntry(entry: Address | null): PasswdEntry | null {
  if (entry === null) return null;
  return {
    name: textAt(entry, 0),
    uid: read.u32(entry, 16),
    gid: read.u32(entry, 20),
    home: textAt(entry, 32),
  };
}

function textAt(entry: Address, offset: number): string {
  const address = read.ptr(entry, offset);
  return address === 0 ? "" : new CString(address as Pointer).toString();
}

function cString(text: string): ArrayBuffer {
  const bytes = Buffer.from(`${text}\0`);
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
