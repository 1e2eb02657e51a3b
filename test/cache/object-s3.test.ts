import { openFixture } from "../store/s3-fixture.ts";
import { cacheContract } from "./contract.ts";
import { objectCacheFixture } from "./object-fixture.ts";

cacheContract("s3:// (MinIO)", async () => objectCacheFixture(await openFixture()));
