import { describe, expect, test } from "bun:test";
import { renderTime } from "../../src/cli/operator/render.ts";
import { withLocalTimes } from "../../src/cli/operator/render-time.ts";

const now = new Date("2026-11-21T12:00:00Z");
const local = (iso: string) => renderTime(new Date(iso));

describe("times that an agent says are shown as all others on a screen", () => {
  test.each([
    ["Held until 2026-11-21T14:00:00.000Z", `Held until ${local("2026-11-21T14:00:00Z")} (in 2h)`],
    ["pid 7, since 2026-11-21T11:59:00Z", `pid 7, since ${local("2026-11-21T11:59:00Z")} (1m ago)`],
    ["Held until `dewy resume`", "Held until `dewy resume`"],
    ["2026-11-21 and 20261121T140000Z and 2026-99-21T14:00:00Z stay", null],
  ])("%s", (text, shown) => {
    expect(withLocalTimes(text, now)).toBe(shown ?? text);
  });
});
