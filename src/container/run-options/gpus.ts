import type { DeviceRequest } from "../create-body.ts";
import { list, type OptionSpec } from "./option.ts";
import { invalid } from "./problem.ts";
import { fieldsOf, pairOf, whole } from "./values.ts";

export const gpuOptions: readonly OptionSpec[] = [
  list("gpus", (draft, text) => {
    draft.host.DeviceRequests = [...(draft.host.DeviceRequests ?? []), requestOf(text)];
  }),
];

/** `all`, `2`, `"device=0,1"`, `driver=nvidia,count=1,"capabilities=compute,utility"` (docker/cli opts/gpus.go). */
function requestOf(text: string): DeviceRequest {
  const fields = new Map<string, string>();
  for (const field of fieldsOf(text)) {
    const [key, value] = field.includes("=") ? pairOf(field, "--gpus count=1") : ["count", field];
    if (!["driver", "count", "device", "capabilities", "options"].includes(key)) {
      throw invalid(`has an unknown key "${key}"`, "write driver, count, device, capabilities or options");
    }
    if (fields.has(key))
      throw invalid(`has ${key} twice`, "put a value with commas into quotes: '\"device=0,1\"'");
    fields.set(key, value);
  }
  const devices = fields.get("device")?.split(",") ?? null;
  const count = fields.get("count");
  if (devices !== null && count !== undefined) {
    throw invalid("has a count and devices", "put devices into quotes: '\"device=0,1\"'");
  }
  return {
    Driver: fields.get("driver") ?? "",
    Count: devices === null ? countOf(count ?? "1") : 0,
    DeviceIDs: devices,
    Capabilities: [[...(fields.get("capabilities")?.split(",") ?? []), "gpu"]],
    Options: Object.fromEntries(
      fieldsOf(fields.get("options") ?? "")
        .filter(Boolean)
        .map(optionOf),
    ),
  };
}

function countOf(text: string): number {
  return text === "all" ? -1 : whole(1, 1000)(text);
}

function optionOf(text: string): [string, string] {
  return text.includes("=") ? pairOf(text, "name=value") : [text, ""];
}
