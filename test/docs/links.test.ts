import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { parsePage, readPages, relativeLinks } from "../support/docs-pages.ts";

const pages = readPages();

test.each(pages.map((page) => [page.path, page] as const))("the links of %s lead somewhere", (_, page) => {
  const broken = relativeLinks(page).filter(({ to, anchor }) => {
    const target = pages.find(({ path }) => path === to);
    return !existsSync(to) || (anchor !== "" && target?.anchors.has(anchor) !== true);
  });
  expect(broken).toEqual([]);
});

test("anchors are made as GitHub makes them", () => {
  const { anchors } = parsePage(
    "x.md",
    "# A new `--flag`: it's s3://\n## Same\n## Same\n```sh\n# no heading\n```\n",
  );
  expect([...anchors]).toEqual(["a-new---flag-its-s3", "same", "same-1"]);
});
