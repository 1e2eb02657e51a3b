import type { Address } from "../util/address.ts";
import { tableAddresses } from "../util/socket-table.ts";

const timeWait = "06";

/**
 * The inode of the server's end of a connection from `caller` to `port`: 0 while nobody has accepted it; null: the
 * tables don't have it.
 */
export function acceptedInode(tables: string, port: number, caller: Address): number | null {
  let found: number | null = null;
  for (const address of tableAddresses(caller.host)) {
    const ends = `:${hexPort(port)} ${address}:${hexPort(caller.port)} `;
    // The tables of a busy host are megabytes: only the rows looked for are taken apart.
    for (let at = tables.indexOf(ends); at >= 0; at = tables.indexOf(ends, at + 1)) {
      const inode = inodeOf(tables.slice(at + ends.length, tables.indexOf("\n", at) + 1 || undefined));
      if (inode !== null) found = Math.max(found ?? 0, inode);
    }
  }
  return found;
}

/** From what follows the two ends of a row: state, queues, timer, retransmits, user, timeout, inode. */
function inodeOf(rest: string): number | null {
  const fields = rest.trim().split(/\s+/);
  const inode = Number(fields[6] ?? Number.NaN);
  return fields[0] === timeWait || !Number.isSafeInteger(inode) ? null : inode;
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
