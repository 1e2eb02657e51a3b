import { BackendPool } from "./backend-pool.ts";
import type { Link, Traffic } from "./link.ts";
import { noErrors } from "./observer.ts";

/** What the proxy knows of one proxied port, on however many addresses it listens. */
export class PortState {
  readonly pool = new BackendPool();
  readonly fromClients: Traffic = { bytes: 0 };
  readonly fromBackends: Traffic = { bytes: 0 };
  readonly errors = noErrors();
  /** Clients for whom there is no backend, in the order they came. */
  readonly held = new Set<Link>();
  total = 0;
  active = 0;

  constructor(readonly port: number) {}
}
