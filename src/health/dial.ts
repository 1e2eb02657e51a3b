import { systemCode } from "../errors.ts";
import { type Address, addressText } from "../util/address.ts";
import { abortable, type Call } from "../util/async.ts";
import { hindranceTo, lackIn } from "./hindrance.ts";

const hangUpMs = 1000;

/** Where a server listens: a TCP port or a unix socket. */
export type Endpoint = Address | { readonly unix: string };

/** A connection that is open and unused. */
export interface Unused {
  /** This side's end. */
  readonly local: Address;
  /** Sends the opening but for its last line: some servers accept only what has data (TCP_DEFER_ACCEPT). */
  nudge(): void;
}

/** What is said over one connection, and what to make of its course; undefined: go on. */
export interface Talk<T> {
  /** Sent once it is open, and admitted. */
  readonly opening: string;
  /** Whether to use it, now that it is open. It ends by itself; what it throws is the talk's failure. */
  readonly admit?: (connection: Unused) => Promise<boolean>;
  readonly connectMs: number;
  /** From there on; 0: that it opens is all there is to know. */
  readonly listenMs: number;
  onRefused(reason: string): T;
  /** This host could not connect, for a lack of its own; as `onRefused` where it is left out. */
  onHindered?(reason: string): T;
  /** Not admitted; where `admit` is given. */
  onUnused?(): T;
  onData(bytes: Uint8Array): T | undefined;
  onClosed(): T;
  /** Still open after `listenMs`. */
  onLimit(): T;
}

/** Opens one connection and closes it again once `talk` has come to a result. */
export async function converse<T>(endpoint: Endpoint, talk: Talk<T>, c: Call): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const slow = `cannot connect within ${talk.connectMs} ms`;
  let isOver = false;
  let timer = setTimeout(() => resolve(talk.onRefused(slow)), talk.connectMs);
  const begin = async (socket: Bun.Socket): Promise<void> => {
    clearTimeout(timer);
    const said = await admitted(socket, talk);
    if (isOver) return;
    if (said === null) return resolve(talk.onUnused?.() ?? talk.onClosed());
    if (talk.opening.length > said) socket.write(talk.opening.slice(said));
    if (talk.listenMs === 0) return resolve(talk.onLimit());
    timer = setTimeout(() => resolve(talk.onLimit()), talk.listenMs);
  };
  const opening = open(endpoint, talk, (socket) => void begin(socket).catch(reject), resolve);
  try {
    return await abortable(promise, c.signal);
  } finally {
    isOver = true;
    clearTimeout(timer);
    // Bun.connect can't be aborted: a connection that comes late is closed when it does.
    void opening.then((socket) => {
      clearTimeout(timer);
      if (socket !== null) hangUp(socket);
    });
  }
}

/** With FIN, not RST: a simple app dies of a reset that it did not expect. One that keeps its end open is cut. */
function hangUp(socket: Bun.Socket): void {
  socket.end();
  setTimeout(() => socket.terminate(), hangUpMs).unref();
}

/** How much of the opening has been sent; null: the connection is not to be used. */
async function admitted<T>(socket: Bun.Socket, { opening, admit }: Talk<T>): Promise<number | null> {
  if (admit === undefined) return 0;
  let said = 0;
  const nudge = (): void => {
    if (said > 0) return;
    said = Math.max(0, opening.length - 2);
    socket.write(opening.slice(0, said));
  };
  const local = { host: socket.localAddress, port: socket.localPort };
  return (await admit({ local, nudge })) ? said : null;
}

async function open<T>(
  endpoint: Endpoint,
  talk: Talk<T>,
  opened: (socket: Bun.Socket) => void,
  settle: (result: T) => void,
): Promise<Bun.Socket | null> {
  const socket: Bun.SocketHandler<undefined> = {
    open: opened,
    data: (_, bytes) => {
      const result = talk.onData(bytes);
      if (result !== undefined) settle(result);
    },
    close: () => settle(talk.onClosed()),
    error: () => settle(talk.onClosed()),
  };
  try {
    if ("unix" in endpoint) return await Bun.connect({ unix: endpoint.unix, socket });
    return await Bun.connect({ hostname: endpoint.host, port: endpoint.port, socket });
  } catch (error) {
    const hindrance = lackIn(error) ?? hindranceTo("unix" in endpoint ? null : endpoint.host);
    settle(
      hindrance === null || !talk.onHindered ? talk.onRefused(refusal(error)) : talk.onHindered(hindrance),
    );
    return null;
  }
}

function refusal(error: unknown): string {
  return systemCode(error) === "ECONNREFUSED"
    ? "connection refused"
    : `cannot connect (${systemCode(error)})`;
}

/** For people, and for the log. */
export function urlOf(endpoint: Endpoint, path: string): string {
  return `http://${endpointText(endpoint)}${path}`;
}

function endpointText(endpoint: Endpoint): string {
  return "unix" in endpoint ? `unix:${endpoint.unix}:` : addressText(endpoint);
}
