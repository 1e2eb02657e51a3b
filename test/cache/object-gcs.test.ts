import { openGcsFixture } from "../store/gcs-contract-fixture.ts";
import { cacheContract } from "./contract.ts";
import { objectCacheFixture } from "./object-fixture.ts";

cacheContract("gs:// (fake-gcs-server)", async () => objectCacheFixture(await openGcsFixture()));
