import { closeSync, fstatSync, lstatSync, rmSync } from "node:fs";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { isIPv4 } from "../util/ip.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  bindSocket,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listenSocket,
  SO_REUSEADDR,
  SOL_SOCKET,
  setSocketOption,
  streamSocket,
} from "../util/libc.ts";
import { describeHolders } from "../util/procfs.ts";
import { ipv4Address, ipv6Address, unixAddress } from "../util/sockaddr.ts";
import { type ListenSpec, listenName } from "./listen-spec.ts";
import { listeningInodes } from "./listening.ts";

/** The kernel cuts it to net.core.somaxconn. */
const backlog = 4096;

/** A listening socket that this process holds and its children inherit. */
export class Listener {
  readonly #fd: number;
  /** Names the socket in /proc for as long as anybody holds it. */
  readonly inode: number;

  constructor(
    readonly spec: ListenSpec,
    fd: number,
  ) {
    this.#fd = fd;
    this.inode = fstatSync(fd).ino;
  }

  get fd(): number {
    return this.#fd;
  }

  /** Lets go of it without ending it: whoever else holds it goes on listening. */
  release(): void {
    closeSync(this.#fd);
  }

  /** Ends it for good: the port is free once no child holds it, and a unix socket's file goes. */
  close(): void {
    closeSync(this.#fd);
    if (this.spec.kind === "unix") rmSync(this.spec.path, { force: true });
  }
}

/** Binds and listens. A port in use is `port-in-use` and says who holds it. */
export async function openListener(spec: ListenSpec): Promise<Listener> {
  if (spec.kind === "unix") await removeStaleSocket(spec.path);
  try {
    return new Listener(spec, bound(spec));
  } catch (error) {
    throw listenError(spec, error);
  }
}

function bound(spec: ListenSpec): number {
  if (spec.kind === "unix") return listening(AF_UNIX, unixAddress(spec.path), () => undefined);
  if (spec.host !== null && isIPv4(spec.host))
    return listening(AF_INET, ipv4Address(spec.host, spec.port), reuse);
  try {
    const dualStack = spec.host === null;
    return listening(AF_INET6, ipv6Address(spec.host ?? "::", spec.port), (fd) => {
      reuse(fd);
      setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, dualStack ? 0 : 1);
    });
  } catch (error) {
    const noIpv6 = systemCode(error) === "EAFNOSUPPORT" || systemCode(error) === "EADDRNOTAVAIL";
    if (spec.host !== null || !noIpv6) throw error;
    return listening(AF_INET, ipv4Address("0.0.0.0", spec.port), reuse);
  }
}

function listening(family: number, address: ArrayBuffer, prepare: (fd: number) => void): number {
  const fd = streamSocket(family);
  try {
    prepare(fd);
    bindSocket(fd, address);
    listenSocket(fd, backlog);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function reuse(fd: number): void {
  setSocketOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

/** A socket file nobody answers on is left over from a process that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  // connect(2) answers ECONNREFUSED for an ordinary file, too: only a socket may go.
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  try {
    const probe = await Bun.connect({ unix: path, socket: { data() {} } });
    probe.end();
  } catch (error) {
    if (systemCode(error) === "ECONNREFUSED") rmSync(path, { force: true });
  }
}

function listenError(spec: ListenSpec, error: unknown): DewyError {
  const name = listenName(spec);
  if (systemCode(error) === "EADDRINUSE") {
    return new DewyError("port-in-use", `port ${name} is in use${describeHolders(listeningInodes(spec))}`, {
      cause: error,
      hint: "stop the process that listens there, or give dewy another --port",
    });
  }
  if (systemCode(error) === "EACCES") {
    return new DewyError("config-invalid", `port ${name}: this user may not listen there`, {
      cause: error,
      hint: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    });
  }
  return toDewyError(error, `listen on ${name}`);
}
