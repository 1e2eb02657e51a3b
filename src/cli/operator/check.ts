import type { Preview } from "../../agent/orders/operations.ts";
import { ask } from "../../control/client.ts";
import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Layout } from "../run/layout.ts";
import { previewAlone } from "./check-alone.ts";
import { type Fact, renderFacts } from "./facts.ts";
import type { OperatorIo, Reply } from "./operator.ts";
import { renderMoment } from "./render-time.ts";
import type { RegistryChoice } from "./request.ts";

/** `dewy check`: by the running agent; where none runs, or another registry is to be asked, from here. */
export async function showCheck(
  layout: Layout,
  from: RegistryChoice | null,
  io: OperatorIo,
  c: Call,
): Promise<Reply> {
  const preview = from === null ? await askAgent(layout, io, c) : await previewAlone(layout, from, io, c);
  const { notBefore } = preview;
  const value = { root: layout.root, ...preview, notBefore: notBefore?.toISOString() ?? null };
  return { value, text: renderFacts(factsOf(preview, io.clock.now()), io.out), exitCode: 0 };
}

async function askAgent(layout: Layout, io: OperatorIo, c: Call): Promise<Preview> {
  try {
    return await ask(layout.root, { kind: "check" }, {}, c);
  } catch (error) {
    if (!(error instanceof DewyError) || error.code !== "no-agent") throw error;
    return previewAlone(layout, null, io, c);
  }
}

function factsOf({ newest, current, wouldDeploy, reason, notBefore }: Preview, now: Date): Fact[] {
  const facts: Fact[] = [
    { name: "Newest", value: newest ?? "no release for this host" },
    { name: "Current", value: current ?? "nothing deployed" },
    wouldDeploy
      ? { name: "Deploy", value: `yes: ${reason}`, paint: "green" }
      : { name: "Deploy", value: `no: ${reason}`, paint: newest === current ? null : "yellow" },
  ];
  if (notBefore !== null)
    facts.push({ name: "By itself", value: renderMoment(notBefore.toISOString(), now) });
  return facts;
}
