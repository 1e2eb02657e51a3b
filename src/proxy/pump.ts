import type { Socket } from "bun";
import type { End, Queue } from "./link.ts";

/**
 * Bytes from one side to the other, as they came. A socket's `write` takes what fits into the kernel's buffer and
 * keeps nothing: the rest is queued and the other side is not read until it is gone, so that a connection holds at
 * most what one read brings (512 KiB) for each direction. A FIN goes on once everything before it is written.
 */
export function receive(end: End, bytes: Uint8Array, nowMs: number): void {
  end.received.bytes += bytes.length;
  end.link.activeMs = nowMs;
  const { peer } = end;
  if (peer.socket === null && end.link.state === "open") return; // closed: nobody is there to take it
  const taken = peer.socket === null || peer.queue !== null ? 0 : peer.socket.write(bytes);
  if (taken === bytes.length) return;
  if (taken < 0) {
    fail(peer);
    return;
  }
  enqueue(peer, bytes, taken);
  // The rest of a broken one's input is in the kernel's buffer, and its end comes after it.
  if (!end.broken) pause(end);
}

/** `offset` counts for the first chunk only; data still comes once or twice after a pause. */
function enqueue(end: End, bytes: Uint8Array, offset: number): void {
  if (end.queue === null) end.queue = { chunks: [bytes], offset };
  else end.queue.chunks.push(bytes);
}

/** Writes what is queued for it, then lets the other side go on. Bun tells of a drain that was none, too. */
export function flush(end: End, nowMs: number): void {
  const { queue, socket, peer } = end;
  if (socket === null) return;
  if (queue !== null) {
    if (!written(end, socket, queue, nowMs)) return;
    end.queue = null;
  }
  if (peer.finReceived) finish(end);
  else resume(peer);
}

/** Whether all of it is. */
function written(end: End, socket: Socket<End>, queue: Queue, nowMs: number): boolean {
  for (;;) {
    const chunk = queue.chunks[0];
    if (chunk === undefined) return true;
    const left = chunk.length - queue.offset;
    const taken = socket.write(chunk, queue.offset, left);
    if (taken < 0) {
      fail(end);
      return false;
    }
    if (taken > 0) end.link.activeMs = nowMs;
    if (taken < left) {
      queue.offset += taken;
      return false;
    }
    queue.chunks.shift();
    queue.offset = 0;
  }
}

/**
 * A write found it reset. Bun (1.4.5) then reports the end of the stream as if it were a FIN, and nothing at all while
 * the socket is paused; what came before the reset can still be read.
 */
function fail(end: End): void {
  end.broken = true;
  end.queue = null;
  resume(end);
}

/** Its FIN came. */
export function endOfInput(end: End): void {
  if (end.broken) {
    end.socket?.terminate();
    return;
  }
  end.finReceived = true;
  const { peer } = end;
  if (peer.socket !== null && peer.queue === null) finish(peer);
}

/** Closes its writing half only: `end()` would close both, and lose the answer that is still to come. */
function finish(end: End): void {
  if (end.finSent || end.socket === null) return;
  end.finSent = true;
  end.socket.shutdown();
}

export function pause(end: End): void {
  if (end.paused || end.socket === null) return;
  end.paused = true;
  end.socket.pause();
}

function resume(end: End): void {
  if (!end.paused || end.socket === null) return;
  end.paused = false;
  end.socket.resume();
}
