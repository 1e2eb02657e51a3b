import type { Preview } from "../../agent/orders/operations.ts";
import { ask } from "../../control/client.ts";
import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Layout } from "../run/layout.ts";
import { lastAgent, previewAlone } from "./check-alone.ts";
import { type Fact, renderFacts } from "./facts.ts";
import type { OperatorIo, Reply } from "./operator.ts";
import { renderMoment } from "./render-time.ts";
import type { OperatorRequest } from "./request.ts";

/** `dewy check`: by the running agent; where none runs, or something else is to be asked for, from here. */
export async function showCheck(
  layout: Layout,
  { alone, from }: Extract<OperatorRequest, { kind: "check" }>,
  io: OperatorIo,
  c: Call,
): Promise<Reply> {
  const preview = alone ? await previewAlone(layout, from, io, c) : await askAgent(layout, io, c);
  const { notBefore } = preview;
  const now = io.clock.now();
  const value = { root: layout.root, ...preview, notBefore: notBefore?.toISOString() ?? null };
  return { value, text: renderFacts(factsOf(preview, now), io.out), exitCode: 0 };
}

/** `source`: whose word it is that the registry was asked by. */
type Checked = Preview & { readonly source: string };

const agent = "the running agent";

async function askAgent(layout: Layout, io: OperatorIo, c: Call): Promise<Checked> {
  try {
    return { ...(await ask(layout.root, { kind: "check" }, {}, c)), source: agent };
  } catch (error) {
    if (!(error instanceof DewyError) || error.code !== "no-agent") throw error;
    return previewAlone(layout, null, io, c);
  }
}

function factsOf({ newest, current, wouldDeploy, reason, notBefore, source }: Checked, now: Date): Fact[] {
  const facts: Fact[] = [
    { name: "Newest", value: newest ?? "no release for this host" },
    { name: "Current", value: current ?? "nothing deployed" },
    wouldDeploy
      ? { name: "Deploy", value: `yes: ${reason}`, paint: "green" }
      : { name: "Deploy", value: `no: ${reason}`, paint: newest === current ? null : "yellow" },
  ];
  if (notBefore !== null)
    facts.push({ name: "Not before", value: renderMoment(notBefore.toISOString(), now) });
  if (source !== agent) {
    const how = source === lastAgent ? "did" : "says";
    facts.push({ name: "Asked", value: `from here, as ${source} ${how}`, paint: "dim" });
  }
  return facts;
}
