import type { InstanceEvent } from "../../replicas/engine.ts";
import type { Call } from "../../util/async.ts";
import { type EngineApi, filters, labelFilter, readRefusal } from "./api.ts";
import { refused } from "./failure.ts";
import { jsonLines } from "./lines.ts";
import { eventOf } from "./wire.ts";

const maxEventBytes = 1024 * 1024;

/** Podman calls it `remove`; here there is one word for it. */
const synonyms: Readonly<Record<string, string>> = { remove: "destroy" };

export async function watchContainers(
  api: EngineApi,
  labels: Readonly<Record<string, string>>,
  onEvent: (event: InstanceEvent) => void,
  c: Call,
): Promise<void> {
  const doing = "watching containers";
  const path = `/events?filters=${filters({ type: ["container"], label: labelFilter(labels) })}`;
  await api.request(
    { path, doing, limit: { kind: "none" } },
    async (answer) => {
      if (answer.status >= 400) throw refused("other", doing, await readRefusal(answer, doing));
      for await (const line of jsonLines(answer.chunks, maxEventBytes)) {
        const event = eventOf(line);
        if (event === undefined || (event.Type ?? "container") !== "container") continue;
        // `health_status: healthy`, `exec_start: /bin/true`: the rest is no name.
        const word = event.Action.split(":")[0] ?? "";
        onEvent({ id: event.Actor.ID, action: synonyms[word] ?? word });
      }
    },
    c,
  );
}
