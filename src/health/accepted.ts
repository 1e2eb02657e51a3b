import type { Address } from "../util/address.ts";
import { acceptedByDiag, type Link } from "../util/sock-diag.ts";
import { readTcpTables, tableAddresses } from "../util/socket-table.ts";

const timeWait = "06";

/**
 * For each connection the inode of the server's end: 0 while nobody has accepted it; null: it is not there. null for
 * all: it can't be told.
 */
export async function acceptedInodes(links: readonly Link[]): Promise<(number | null)[] | null> {
  return acceptedByDiag(links) ?? (await acceptedByTables(links));
}

/** The same from /proc: one reading serves all, but on a busy host it takes long. */
export async function acceptedByTables(links: readonly Link[]): Promise<(number | null)[] | null> {
  const tables = await readTcpTables();
  if (tables === null) return null;
  return links.map(({ server, caller }) => acceptedInode(tables, server.port, caller));
}

/** As `tables` have it: null: they don't. */
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
