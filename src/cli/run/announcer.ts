import { hostname } from "node:os";
import { Announcer } from "../../agent/announce.ts";
import type { AgentConfig } from "../../config/config.ts";
import type { DriverDeps } from "../../drivers/driver.ts";
import { openNotifiers } from "../../drivers/notifiers.ts";
import { TroubleFile } from "../../notify/limiter-file.ts";
import { Outbox, type OutboxStep } from "../../notify/outbox.ts";
import { type NotifierView, Sender, type SenderStep } from "../../notify/sender.ts";
import { maskOf } from "../../util/mask.ts";
import type { Layout } from "./layout.ts";
import { secretsOf } from "./secrets.ts";

interface AnnouncerParts {
  readonly drivers: DriverDeps;
  readonly layout: Layout;
  readonly onStep: (step: OutboxStep | SenderStep) => void;
  /** Aborts when the agent's end is to take no longer. */
  readonly hurry: AbortSignal;
  /** Closed late, the senders bring home what the end of the other parts told. */
  readonly open: AsyncDisposableStack;
}

interface OpenAnnouncer {
  readonly announcer: Announcer;
  readonly notifiers: () => readonly NotifierView[];
}

/** The outbox in the root, and a sender for each notifier; what an earlier agent left is sent from now on. */
export async function openAnnouncer(config: AgentConfig, parts: AnnouncerParts): Promise<OpenAnnouncer> {
  const { drivers, layout, onStep, hurry, open } = parts;
  const { clock, log } = drivers;
  const readers = await openNotifiers(config.notifiers, drivers);
  const place = { directory: layout.outbox, root: layout.root, host: hostname(), command: config.command };
  const outbox = Outbox.open({ ...place, readers }, { clock, log, onStep });
  const deps = { outbox, clock, log, random: Math.random, hurry, onStep };
  const senders = readers.map((reader) => new Sender(reader, deps));
  // Together: each may take its ten seconds.
  open.defer(async () => {
    await Promise.all(senders.map((sender) => sender[Symbol.asyncDispose]()));
  });
  // Without anybody to tell, nothing is remembered either.
  const troubles = TroubleFile.open(readers.length === 0 ? null : layout.troubles, log);
  const mask = maskOf(secretsOf(config, drivers.env));
  return {
    announcer: new Announcer({ outbox, troubles, clock, log, mask }),
    notifiers: () => senders.map((sender) => sender.view()),
  };
}
