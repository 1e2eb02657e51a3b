import { type Listing, listContainers } from "../../admin/client.ts";
import { renderJson, renderTable, renderTime } from "./render.ts";

interface ListOptions {
  readonly json: boolean;
  /** Where agents may listen (`adminPorts()`). */
  readonly ports: readonly number[];
}

/**
 * `dewy container list`: what all agents of this host run, sorted by name. The deploy time is local; with `json`
 * an array of all that is known, times in UTC. `warn` gets what the list may lack, a line each.
 */
export async function showContainers(
  options: ListOptions,
  write: (text: string) => void,
  warn: (text: string) => void = () => undefined,
): Promise<number> {
  const listing = await listContainers(options.ports, { signal: new AbortController().signal });
  write(options.json ? renderJson(listing.containers) : render(listing));
  for (const port of listing.silent) {
    warn(`Warning: port ${port} did not answer in time; an agent there is not in the list\n`);
  }
  return 0;
}

function render({ containers }: Listing): string {
  if (containers.length === 0) return "No containers found.\n";
  const rows = containers.map(({ ip_port, deployed_at, name }) => [
    ip_port,
    deployed_at === null ? "" : renderTime(new Date(deployed_at)),
    name,
  ]);
  return renderTable(["UPSTREAM", "DEPLOY TIME", "NAME"], rows);
}
