import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DewyError } from "../errors.ts";
import type { Endpoint } from "../health/dial.ts";
import type { User } from "../util/user.ts";
import { actsFor } from "../util/weak-spot.ts";
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

  /**
   * Unix sockets lie in a new directory under `tmpDir`, which is made, or elsewhere if its path is too long. The app's
   * user gets to them: a health command runs as him.
   */
  static async open(
    listen: readonly ListenSpec[],
    { tmpDir, user }: { readonly tmpDir: string; readonly user: User | null },
  ): Promise<PrivateSockets> {
    using opened = new DisposableStack();
    const place = listen.some(({ kind }) => kind === "unix") ? temporaryPlace(tmpDir, opened) : tmpDir;
    if (place !== tmpDir) {
      openTo(user, tmpDir, 0o711);
      openTo(user, place, 0o710);
    }
    const listeners: Listener[] = [];
    for (const [index, spec] of listen.entries()) {
      const listener = spec.kind === "unix" ? await unixListener(place, index) : await tcpListener();
      opened.defer(() => listener.close());
      if (spec.kind === "unix") openTo(user, join(place, `${index}`), 0o660);
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

/** By his group: what lies in the directory stays the agent's to name and to remove. */
function openTo(user: User | null, path: string, mode: number): void {
  if (!actsFor(user)) return;
  chownSync(path, 0, user.gid);
  chmodSync(path, mode);
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
