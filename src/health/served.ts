import { type Address, addressText } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import { converse } from "./dial.ts";
import type { Listening } from "./listening.ts";
import type { Probed } from "./policy.ts";

/**
 * How long a connection must live, by what the kernel shows. It knows nothing of what a sandbox with a network stack
 * of its own (gVisor) serves, so that `no` is not the last word.
 */
const survivalMs = { yes: 0, unknown: 200, no: 1000 } as const;

/**
 * Whether a port is served, not just accepted: Docker's userland proxy, and rootless ones, accept first and close
 * when the app does not listen. Where the kernel shows a listener a connection is enough; else it must survive.
 */
export async function checkServed(
  address: Address,
  { listening, greeting }: { readonly listening: Listening; readonly greeting: string },
  limitMs: number,
  c: Call,
): Promise<Probed> {
  const name = addressText(address);
  const failed = (seen: string): Probed => ({ ok: false, seen: `${name}: ${seen}` });
  const served: Probed = { ok: true, seen: `${name}: served` };
  if (listening === "loopback-only") {
    return failed("the app listens on the container's loopback only; let it listen on 0.0.0.0");
  }
  return await converse(
    address,
    {
      opening: greeting,
      connectMs: limitMs,
      listenMs: survivalMs[listening ?? "unknown"],
      onRefused: failed,
      onHindered: (reason) => ({ ...failed(reason), unasked: true }),
      // Some speak first: SMTP, databases.
      onData: () => served,
      onClosed: () => failed("accepts but does not serve"),
      onLimit: () => served,
    },
    c,
  );
}
