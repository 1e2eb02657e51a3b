import { expect, test } from "bun:test";
import { spreadOf } from "../../src/schedule/spread.ts";

const hosts = Array.from({ length: 1000 }, (_, index) => `web${index}.example`);
const spreads = (release: string) => hosts.map((host) => spreadOf(host, "/srv/app", release));

test("a host keeps its place for a release", () => {
  expect(spreadOf("web1", "/srv/app", "v1.2.3")).toBe(spreadOf("web1", "/srv/app", "v1.2.3"));
});

test("another host, directory or release has another place", () => {
  const places = [
    spreadOf("web1", "/srv/app", "v1.2.3"),
    spreadOf("web2", "/srv/app", "v1.2.3"),
    spreadOf("web1", "/srv/other", "v1.2.3"),
    spreadOf("web1", "/srv/app", "v1.2.4"),
    spreadOf("web1/srv", "/app", "v1.2.3"),
    spreadOf("web1", "/srv/appv1", ".2.3"),
  ];
  expect(new Set(places).size).toBe(places.length);
});

test("hosts fill the whole of the time evenly", () => {
  const tenths = Map.groupBy(spreads("v1.2.3"), (spread) => Math.floor(spread * 10));
  expect([...tenths.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const [, { length }] of tenths) expect(length).toBeGreaterThan(50);
});

test("not always the same host is first", () => {
  const first = (release: string) => {
    const all = spreads(release);
    return all.indexOf(Math.min(...all));
  };
  expect(new Set(["v1", "v2", "v3", "v4"].map(first)).size).toBeGreaterThan(1);
});
