import { DewyError } from "../errors.ts";

/** How many connections the proxy holds at once, and where the process's descriptors run short. */
export interface Capacity {
  readonly maxConnections: number;
  /** A descriptor of this number or above is a sign that hardly any are left, whoever uses them. */
  readonly descriptorCeiling: number;
}

const descriptorsPerConnection = 2;
/** What the rest of the agent may need at once: downloads, the engine, children, files, logs. */
const mostReserved = 256;
/** Where no limit can be told. */
const unknownLimit = 10_240;

/**
 * Two descriptors a connection; a quarter of them, at most 256, is left for the rest of the agent. At the limit of
 * the process a listener can neither accept nor refuse, and the event loop spins: the proxy stops accepting before.
 * More than fits is `config-invalid`.
 */
export function capacityFor(requested: number | null, descriptorLimit: number | null): Capacity {
  const limit = descriptorLimit ?? unknownLimit;
  const reserved = Math.min(mostReserved, Math.floor(limit / 4));
  const most = Math.max(1, Math.floor((limit - reserved) / descriptorsPerConnection));
  if (requested !== null && requested > most) {
    throw new DewyError(
      "config-invalid",
      `--max-connections ${requested}: this process may have ${limit} descriptors, enough for ${most} connections`,
      { hint: `raise the limit (systemd: LimitNOFILE=), or give at most ${most}` },
    );
  }
  return { maxConnections: requested ?? most, descriptorCeiling: limit - Math.ceil(reserved / 2) };
}
