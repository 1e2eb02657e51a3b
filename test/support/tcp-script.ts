import { connectPeer, startPeerServer, type TcpPeer } from "./tcp-peer.ts";
import { until } from "./until.ts";

/** What one side of a connection does; `wait` lets everything before it arrive. */
export type Step =
  | { readonly side: Side; readonly kind: "send"; readonly bytes: number }
  | { readonly side: Side; readonly kind: "finish" | "close" | "reset" | "pause" | "resume" };
export type Side = "client" | "server";

/** What a side saw: the digest of its input, and how it ended. */
export interface Seen {
  readonly received: number;
  readonly digest: string;
  readonly ending: string;
}

const kinds = ["send", "send", "send", "send", "finish", "close", "reset", "pause", "resume"] as const;

/** All of a script's fit into a receiver's first window: what a reset overtakes is the same at any distance. */
const mostBytes = 10_000;

/** Steps that make sense: nothing is sent after an end, and both sides end. */
export function randomScript(random: () => number): Step[] {
  const open = new Set<Side>(["client", "server"]);
  const gone = new Set<Side>();
  const steps: Step[] = [];
  const length = 2 + Math.floor(random() * 10);
  while (steps.length < length && gone.size < 2 && open.size > 0) {
    const side: Side = random() < 0.5 ? "client" : "server";
    const kind = kinds[Math.floor(random() * kinds.length)] ?? "send";
    if (gone.size > 0) break; // what the other one does after an end is a race with it
    if (kind === "send") {
      if (open.has(side)) steps.push({ side, kind, bytes: 1 + Math.floor(random() ** 2 * mostBytes) });
    } else {
      steps.push({ side, kind });
      if (kind === "finish") open.delete(side);
      if (kind === "close" || kind === "reset") gone.add(side);
    }
  }
  for (const side of ["client", "server"] as const) {
    steps.push({ side, kind: "resume" });
    if (open.has(side) && gone.size === 0) steps.push({ side, kind: "finish" });
  }
  return steps;
}

/** Does the steps one after the other, each once the one before has arrived, and tells what each side saw. */
export async function play(
  steps: readonly Step[],
  port: number,
  server: { readonly peers: readonly TcpPeer[] },
): Promise<Record<Side, Seen>> {
  const before = server.peers.length;
  const client = await connectPeer(port, { keepText: false });
  const peer = await until("the server's side", () => server.peers[before]);
  const at = { client, server: peer };
  const paused = { client: false, server: false };
  const sent = { client: 0, server: 0 };
  for (const step of steps) {
    const [self, other] =
      step.side === "client" ? (["client", "server"] as const) : (["server", "client"] as const);
    act(at[self], step);
    if (step.kind === "pause") paused[self] = true;
    if (step.kind === "resume") paused[self] = false;
    if (step.kind === "send") sent[self] += step.bytes;
    if (at[self].closed && step.kind !== "close" && step.kind !== "reset") continue;
    await arrived(at[other], paused[other], sent[self], step.kind);
    if (step.kind === "resume") await arrived(at[self], false, sent[other], step.kind);
  }
  for (const side of ["client", "server"] as const) {
    await until(`${side} to end`, () => at[side].closed || at[side].ending !== "open");
  }
  const seen = { client: seenBy(client), server: seenBy(peer) };
  client.reset();
  peer.reset();
  return seen;
}

function act(peer: TcpPeer, step: Step): void {
  if (step.kind === "send") peer.send(new Uint8Array(step.bytes).fill(step.bytes % 251));
  else peer[step.kind]();
}

/** A side that reads sees what was done; for one that does not, it gets as far as the kernel. */
async function arrived(peer: TcpPeer, paused: boolean, bytes: number, kind: Step["kind"]): Promise<void> {
  if (peer.closed) return;
  if (kind === "reset" || kind === "close") return passed(peer, 100);
  if (paused) return passed(peer, 4);
  if (kind === "finish") await fast(() => peer.ending !== "open" || peer.closed);
  else await fast(() => peer.received >= bytes || peer.closed);
}

/** Loopback delivers at once; a reset may wait for a delayed acknowledgement (40 ms) of what was before it. */
async function passed(peer: TcpPeer, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!peer.closed && performance.now() < deadline) await Bun.sleep(1);
}

/** Looks at each turn of the event loop: ten milliseconds a step would add up. */
async function fast(ready: () => boolean): Promise<void> {
  const deadline = performance.now() + 40_000;
  while (!ready()) {
    if (performance.now() > deadline) throw new Error("waited in vain for a step to arrive");
    await Bun.sleep(0);
  }
}

function seenBy(peer: TcpPeer): Seen {
  return { received: peer.received, digest: peer.digest, ending: peer.ending };
}

export function startScriptServer() {
  return startPeerServer({ keepText: false });
}
