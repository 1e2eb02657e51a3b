import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DewyError } from "../errors.ts";
import type { Endpoint } from "../health/dial.ts";
import { askedAt } from "./endpoint.ts";
import type { Inherited } from "./launch.ts";
import type { ListenSpec } from "./listen-spec.ts";
import { type Listener, openListener } from "./listener.ts";

const host = "127.0.0.1";
const tries = 10;
/** sockaddr_un.sun_path on macOS, which is shorter than Linux's, less the final NUL. */
const maxUnixPathBytes = 103;

/** Sockets in place of the real ones, under the same names, that nobody is told of. */
export class PrivateSockets implements Disposable {
  private constructor(
    /** In the order of the real ones. */
    readonly inherited: readonly Inherited[],
    /** Where an app that has them is asked; null: it listens nowhere. */
    readonly endpoint: Endpoint | null,
    private readonly opened: DisposableStack,
  ) {}

  /** Unix sockets lie in a new directory under `directory`, which is made, or elsewhere if its path is too long. */
  static async open(listen: readonly ListenSpec[], directory: string): Promise<PrivateSockets> {
    using opened = new DisposableStack();
    const place = listen.some(({ kind }) => kind === "unix") ? temporaryPlace(directory, opened) : directory;
    const listeners: Listener[] = [];
    for (const [index, spec] of listen.entries()) {
      const listener = spec.kind === "unix" ? await unixListener(place, index) : await tcpListener();
      opened.defer(() => listener.close());
      listeners.push(listener);
    }
    const inherited = listeners.map(({ fd }, index) => ({
      fd,
      spec: listen[index] ?? ({ kind: "unix", path: "" } as const),
    }));
    return new PrivateSockets(inherited, askedAt(listeners.map(({ spec }) => spec)), opened.move());
  }

  [Symbol.dispose](): void {
    this.opened.dispose();
  }
}

function unixListener(place: string, index: number): Promise<Listener> {
  return openListener({ kind: "unix", path: join(place, `${index}`) });
}

function temporaryPlace(directory: string, opened: DisposableStack): string {
  mkdirSync(directory, { recursive: true });
  const fits = Buffer.byteLength(join(directory, "rehearsal-XXXXXX", "000")) <= maxUnixPathBytes;
  const place = mkdtempSync(join(fits ? directory : tmpdir(), "rehearsal-"));
  opened.defer(() => rmSync(place, { recursive: true, force: true }));
  return place;
}

/** A free port is found by binding it once; somebody else may take it before it is bound again. */
async function tcpListener(): Promise<Listener> {
  for (let tried = 1; ; tried++) {
    const probe = Bun.listen({ hostname: host, port: 0, socket: { data() {} } });
    const { port } = probe;
    probe.stop(true);
    try {
      return await openListener({ kind: "tcp", host, port });
    } catch (error) {
      const isTaken = error instanceof DewyError && error.code === "port-in-use";
      if (!isTaken || tried >= tries) throw error;
    }
  }
}
