import { dlopen, FFIType, ptr, read } from "bun:ffi";

/**
 * The few libc calls that Bun has no API for. Buffers are explicit ArrayBuffers: `ptr()` of a small typed array
 * goes stale once the JIT has optimised its caller. Numbers are from the platforms' headers.
 */
const darwin = process.platform === "darwin";
const { i32, u32, u64, pointer } = FFIType;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = darwin ? 30 : 10;
export const SOL_SOCKET = darwin ? 0xffff : 1;
export const SO_REUSEADDR = darwin ? 4 : 2;
export const SO_ACCEPTCONN = darwin ? 2 : 30;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = darwin ? 27 : 26;

const SOCK_STREAM = 1;
const F_SETFD = 2;
const F_DUPFD_CLOEXEC = darwin ? 67 : 1030;
const SIOCOUTQ = 0x5411n;
const SO_NWRITE = 0x1024;
const FD_CLOEXEC = 1;
const LOCK_EX_NB = 2 | 4;
const MADV_DONTNEED = 4;
const PIDFD_OPEN = 434n;
const PIDFD_GETFD = 438n;

/** The errno's name; numbers up to 34 are the same on both platforms. */
const errnoNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  5: "EIO",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  23: "ENFILE",
  24: "EMFILE",
  28: "ENOSPC",
  30: "EROFS",
  ...(darwin
    ? {
        35: "EAGAIN",
        47: "EAFNOSUPPORT",
        48: "EADDRINUSE",
        49: "EADDRNOTAVAIL",
        51: "ENETUNREACH",
        55: "ENOBUFS",
        63: "ENAMETOOLONG",
        69: "EDQUOT",
      }
    : {
        11: "EAGAIN",
        36: "ENAMETOOLONG",
        93: "EPROTONOSUPPORT",
        97: "EAFNOSUPPORT",
        98: "EADDRINUSE",
        99: "EADDRNOTAVAIL",
        101: "ENETUNREACH",
        105: "ENOBUFS",
        111: "ECONNREFUSED",
        122: "EDQUOT",
      }),
};

/** A libc call that failed; `code` is the errno's name (`EADDRINUSE`), as in Node's system errors. */
export class LibcError extends Error {
  override readonly name = "LibcError";
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = errnoNames[errno] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.code = code;
  }
}

const posix = {
  poll: { args: [pointer, u64, i32], returns: i32 },
  pipe: { args: [pointer], returns: i32 },
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
  fcntl: { args: [i32, i32, i32], returns: i32 },
  flock: { args: [i32, i32], returns: i32 },
  ioctl: { args: [i32, u64, pointer], returns: i32 },
} as const;
const linux = {
  madvise: { args: [u64, u64, i32], returns: i32 },
  syncfs: { args: [i32], returns: i32 },
  syscall: { args: [u64, u64, u64, u64], returns: i32 },
} as const;

/** The first name that loads: glibc, musl's own, macOS. */
export function load<S extends Parameters<typeof dlopen>[1]>(symbols: S) {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const names = darwin ? ["libSystem.B.dylib"] : ["libc.so.6", `libc.musl-${machine}.so.1`];
  let failure: unknown;
  for (const name of names) {
    try {
      return dlopen(name, symbols).symbols;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Loads on first use: most commands need none of it. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const libc = lazily(() => load(posix));
const linuxLibc = lazily(() => load(linux));
const errnoLocation = lazily(() =>
  darwin
    ? load({ __error: { args: [], returns: pointer } } as const).__error
    : load({ __errno_location: { args: [], returns: pointer } } as const).__errno_location,
);

export function checked(call: string, result: number): number {
  if (result >= 0) return result;
  const location = errnoLocation()();
  throw new LibcError(call, location === null ? 0 : read.i32(location, 0));
}

/** A blocking stream socket, closed on exec: the flag is shared with every holder, and apps expect blocking. */
export function streamSocket(family: number): number {
  const fd = checked("socket", libc().socket(family, SOCK_STREAM, 0));
  checked("fcntl", libc().fcntl(fd, F_SETFD, FD_CLOEXEC));
  return fd;
}

/** Whether a write of a line would not block, or stops blocking within `timeoutMs` (poll(2)). */
export function isWritable(fd: number, timeoutMs: number): boolean {
  const pollOut = 4;
  const entry = new ArrayBuffer(8);
  const view = new DataView(entry);
  view.setInt32(0, fd, true);
  view.setInt16(4, pollOut, true);
  // A failure (a signal came in between) is left to the write itself.
  return libc().poll(ptr(entry), 1, timeoutMs) !== 0;
}

/** A pipe, both ends closed on exec. */
export function pipe(): { readFd: number; writeFd: number } {
  const fds = new ArrayBuffer(8);
  checked("pipe", libc().pipe(ptr(fds)));
  const view = new DataView(fds);
  const [readFd, writeFd] = [view.getInt32(0, true), view.getInt32(4, true)];
  for (const fd of [readFd, writeFd]) checked("fcntl", libc().fcntl(fd, F_SETFD, FD_CLOEXEC));
  return { readFd, writeFd };
}

export function setSocketOption(fd: number, level: number, option: number, value: number): void {
  const buffer = new ArrayBuffer(4);
  new DataView(buffer).setInt32(0, value, true);
  checked("setsockopt", libc().setsockopt(fd, level, option, ptr(buffer), 4));
}

export function getSocketOption(fd: number, level: number, option: number): number {
  const value = new ArrayBuffer(4);
  const length = new ArrayBuffer(4);
  new DataView(length).setInt32(0, 4, true);
  checked("getsockopt", libc().getsockopt(fd, level, option, ptr(value), ptr(length)));
  return new DataView(value).getInt32(0, true);
}

/** `address` is a struct sockaddr of the family. */
export function bindSocket(fd: number, address: ArrayBuffer): void {
  checked("bind", libc().bind(fd, ptr(address), address.byteLength));
}

export function listenSocket(fd: number, backlog: number): void {
  checked("listen", libc().listen(fd, backlog));
}

/** A second descriptor of the same open socket, closed on exec; null when the process may have no more. */
export function duplicate(fd: number): number | null {
  const copy = libc().fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? null : copy;
}

const answer = new ArrayBuffer(8);
const answerView = new DataView(answer);

/** Bytes given to a TCP socket that the other side's kernel has not confirmed (tcp(7), SIOCOUTQ); 0 when it can't tell. */
export function unconfirmedBytes(fd: number): number {
  if (darwin) return getSocketOption(fd, SOL_SOCKET, SO_NWRITE);
  return libc().ioctl(fd, SIOCOUTQ, ptr(answer)) < 0 ? 0 : answerView.getInt32(0, true);
}

/** Takes an exclusive lock that ends with the process, however it ends; false when another holds it. */
export function tryLock(fd: number): boolean {
  try {
    checked("flock", libc().flock(fd, LOCK_EX_NB));
    return true;
  } catch (error) {
    if (error instanceof LibcError && error.code === "EAGAIN") return false;
    throw error;
  }
}

/** Writes everything of the file system that `fd` lies on to disk (Linux). */
export function syncfs(fd: number): void {
  checked("syncfs", linuxLibc().syncfs(fd));
}

/** Drops pages of a mapping that was never written to; they are read again when they are next touched (Linux). */
export function unmapClean(start: bigint, bytes: bigint): void {
  checked("madvise", linuxLibc().madvise(start, bytes, MADV_DONTNEED));
}

/** A descriptor that stands for a process (Linux 5.3, pidfd_open(2)). */
export function pidfdOpen(pid: number): number {
  return checked("pidfd_open", linuxLibc().syscall(PIDFD_OPEN, BigInt(pid), 0n, 0n));
}

/** A copy of descriptor `fd` of another process (Linux 5.6, pidfd_getfd(2)); needs ptrace rights over it. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return checked("pidfd_getfd", linuxLibc().syscall(PIDFD_GETFD, BigInt(pidfd), BigInt(fd), 0n));
}
