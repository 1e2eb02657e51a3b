import { converse } from "../health/dial.ts";
import type { Address } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import type { ReplicaAddresses } from "./rotation.ts";

const connectMs = 250;

/**
 * Whether this host reaches a replica on the container's own addresses. Not with a virtual machine in between, nor
 * with macvlan; where it does, connections need no userland proxy, which accepts for a dead app too.
 */
export async function reachesDirectly(direct: ReplicaAddresses, c: Call): Promise<boolean> {
  const addresses = [...direct.values()].flat();
  const reached = await Promise.all(addresses.map((address) => opens(address, c)));
  return reached.length > 0 && reached.every((each) => each);
}

function opens(address: Address, c: Call): Promise<boolean> {
  const talk = {
    opening: "",
    connectMs,
    listenMs: 0,
    onRefused: () => false,
    onData: () => true,
    onClosed: () => true,
    onLimit: () => true,
  };
  return converse(address, talk, c);
}
