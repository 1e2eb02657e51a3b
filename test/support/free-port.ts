/** Below all that the kernel, or dewy for its apps, gives to somebody by itself: an outgoing connection, a process. */
const ports = { first: 3000, last: 9999 } as const;
/** As many as one process takes at once. */
const blockSize = 50;
const blocks = Math.floor((ports.last - ports.first + 1) / blockSize);
/** What names this process's blocks in the kernel; they are free again when it ends. */
const claims: unknown[] = [];
let own: number[] = [];

/**
 * A port for a server that is started soon, stopped and started again: nobody has taken it when it comes back, and
 * neither this test process nor another one that runs is given it again. Each is mostly lower than the one before.
 */
export function freePort(): number {
  for (;;) {
    const port = own.pop();
    if (port === undefined) own = claimBlock();
    else if (isFree(port)) return port;
  }
}

function claimBlock(): number[] {
  for (let tries = 0; tries < 100 * blocks; tries++) {
    const block = Math.floor(Math.random() * blocks);
    try {
      const claim = Bun.listen({ unix: `\0dewy-test-ports-${block}`, socket: { data() {} } });
      claim.unref();
      claims.push(claim);
    } catch {
      continue; // another's
    }
    return Array.from({ length: blockSize }, (_, index) => ports.first + block * blockSize + index);
  }
  throw new Error("other test processes have all the ports");
}

function isFree(port: number): boolean {
  try {
    // Not beside another one that would share its port.
    Bun.listen({ hostname: "0.0.0.0", port, exclusive: true, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
