import { expect, test } from "bun:test";
import { captureScreens, readmePath, rendered, screensIn, shapeOf } from "../../scripts/screens.ts";

test("README.md shows the screens as they are (else: ./scripts/screens --write)", async () => {
  const shown = screensIn(await Bun.file(readmePath).text());
  expect(shapeOf(shown)).toBe(shapeOf(rendered(await captureScreens())));
}, 120_000);

test("a README without the markers is an error, not a silent pass", () => {
  expect(() => screensIn("# dewy\n")).toThrow("needs the markers");
});

test("a shape knows no numbers and no line ends, and all the words", () => {
  const wrapped = "Quarantine v1.2.0, since 2026-12-01 09:00:03 (2s ago): the new\n           server exited";
  expect(shapeOf(wrapped)).toBe(
    shapeOf("Quarantine v1.2.0, since 2027-01-11 19:10:13 (1m 2s ago): the new server exited"),
  );
  expect(shapeOf(wrapped)).not.toBe(shapeOf(wrapped.replace("new", "old")));
});
