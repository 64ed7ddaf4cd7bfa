// JSON schemas of a Power BI Project. The small ones are Microsoft's own files; of the three large ones for reports, and of the
// first version of `definition.pbir`, this is the part that haul writes, in our words: every property that is left out is
// refused here and allowed there, so what passes here passes there. See tests/expected/powerbi-schemas/README.md.
import { readFileSync, readdirSync } from "node:fs";
import Ajv from "ajv";

const FOLDER = new URL("../../expected/powerbi-schemas/", import.meta.url);
const BASE = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition";
const text = { type: "string" };
const closed = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required, additionalProperties: false });
const list = (items) => ({ type: "array", items });
const words = (...all) => ({ type: "string", enum: all });
const address = (name, version) => `${BASE}/${name}/${version}/schema.json`;
const own = (name, version, properties, required) => ({
  $id: address(name, version),
  ...closed({ $schema: { const: address(name, version) }, ...properties }, ["$schema", ...required]),
});

const annotations = list(closed({ name: text, value: text }));
const theme = closed({ name: text, reportVersionAtImport: text, type: words("RegisteredResources", "SharedResources") });
const source = closed({ SourceRef: closed({ Entity: text }) });
const named = closed({ Expression: source, Property: text });
const field = { oneOf: [closed({ Column: named }), closed({ Measure: named })] };
const projection = closed({ field, queryRef: text, nativeQueryRef: text, displayName: text, active: { type: "boolean" } }, ["field", "queryRef"]);
const query = closed(
  {
    queryState: { type: "object", additionalProperties: closed({ projections: list(projection) }) },
    sortDefinition: closed({ sort: list(closed({ field, direction: words("Ascending", "Descending") })), isDefaultSort: { type: "boolean" } }, []),
  },
  ["queryState"],
);
// What a property of the format of a visual holds: one literal.
const literal = closed({ expr: closed({ Literal: closed({ Value: text }) }) });
const objects = { type: "object", additionalProperties: list(closed({ properties: { type: "object", additionalProperties: literal } })) };
const position = closed(Object.fromEntries(["x", "y", "z", "height", "width", "tabOrder"].map((name) => [name, { type: "number" }])), ["x", "y", "height", "width"]);
const visual = closed({ visualType: text, query, objects, visualContainerObjects: objects, drillFilterOtherVisuals: { type: "boolean" } }, ["visualType"]);

function extracts() {
  const pbir = "https://developer.microsoft.com/json-schemas/fabric/item/report/definitionProperties/1.0.0/schema.json";
  const reference = closed({ byPath: closed({ path: text }) });
  const found = [{ $id: pbir, ...closed({ $schema: { const: pbir }, version: text, datasetReference: reference }) }];
  for (const version of ["1.0.0", "3.0.0"]) {
    const common = { themeCollection: closed({ baseTheme: theme }, []), annotations };
    // The wording of the layout went with version 3.
    found.push(
      version === "1.0.0"
        ? own("report", version, { ...common, layoutOptimization: words("None", "PhonePortrait") }, ["layoutOptimization", "themeCollection"])
        : own("report", version, common, ["themeCollection"]),
    );
  }
  for (const version of ["1.0.0", "2.0.0"]) {
    const page = { name: { ...text, maxLength: 50 }, displayName: text, displayOption: words("FitToPage", "FitToWidth", "ActualSize"), height: { type: "number" }, width: { type: "number" }, annotations };
    // Height and width may be left out with an option only that is not used any more.
    found.push(own("page", version, page, ["name", "displayName", "displayOption", "height", "width"]));
    found.push(own("visualContainer", version, { name: { ...text, maxLength: 50 }, position, visual, annotations }, ["name", "position"]));
  }
  return found;
}

// Without formats: none of these schemas has one that haul writes.
const ajv = new Ajv({ strict: false, allErrors: true });
for (const schema of extracts()) ajv.addSchema(schema);
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".json"))) ajv.addSchema(JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")));

/** What is wrong with a document by the schema that it names; `wanted` is the beginning of that schema's address. */
export function schemaProblems(document, wanted) {
  const named = document.$schema;
  if (typeof named !== "string" || !named.includes(`/json-schemas/fabric/${wanted}/`)) return [`it names the schema ${named}, not one of ${wanted}`];
  const check = ajv.getSchema(named);
  if (!check) return [`the schema ${named} is not at hand`];
  return check(document) ? [] : check.errors.map((error) => `${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
}
