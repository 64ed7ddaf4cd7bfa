// Checks a Power BI Project: every file by its schema, the model by TMDL's rules, what files say of each other, the M that
// stands in the model by the checks of M, and the measures.
//
//     project.mjs FOLDER…
//
// prints {FOLDER: {"problems": […], "queries": {…}, "tables": {NAME: [COLUMN, …]}, "measures": {…}, "relationships": […]}, …}.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { problems as mProblems } from "./check.mjs";
import { daxProblems } from "./dax.mjs";
import { calls, nameOf, parse, textOf } from "./language.mjs";
import { schemaProblems } from "./schemas.mjs";
import { columnNamed, readTmdl } from "./tmdl.mjs";

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// What a type of M's columns is in a model.
const DATA_TYPES = {
  "Int64.Type": "int64",
  "Currency.Type": "decimal",
  "type number": "double",
  "type text": "string",
  "type logical": "boolean",
  "type date": "dateTime",
  "type datetime": "dateTime",
};

function files(folder, below = "") {
  return readdirSync(join(folder, below)).flatMap((name) => {
    const path = posix.join(below, name);
    return statSync(join(folder, path)).isDirectory() ? files(folder, path) : [path];
  });
}

class Project {
  constructor(folder) {
    this.told = [];
    this.texts = new Map();
    for (const path of files(folder)) {
      const bytes = readFileSync(join(folder, path));
      try {
        this.texts.set(path, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
      } catch {
        this.tell(path, "is not UTF-8");
      }
      if (bytes[0] === 0xef && bytes[1] === 0xbb) this.tell(path, "begins with a byte order mark");
    }
  }

  tell(where, what) {
    this.told.push(`${where}: ${what}`);
  }

  json(path, schema) {
    const text = this.texts.get(path);
    if (text === undefined) {
      this.tell(path, "is missing");
      return {};
    }
    try {
      const document = JSON.parse(text);
      if (schema) for (const what of schemaProblems(document, schema)) this.tell(path, what);
      return document;
    } catch (error) {
      this.tell(path, error.message);
      return {};
    }
  }

  /** The folder that a relative path names from another one. */
  reference(from, path, what) {
    const named = posix.join(from, path ?? "");
    if (!path || path.includes("\\") || ![...this.texts.keys()].some((file) => file.startsWith(`${named}/`))) this.tell(from || "/", `${what} \`${path}\` is no folder`);
    return named;
  }
}

function layout(project) {
  const starts = [...project.texts.keys()].filter((path) => path.endsWith(".pbip"));
  if (starts.length !== 1) project.tell("/", `${starts.length} .pbip files`);
  const start = project.json(starts[0] ?? "missing.pbip", "pbip/pbipProperties");
  const report = project.reference("", start.artifacts?.[0]?.report?.path, "the report");
  const pbir = project.json(`${report}/definition.pbir`, "item/report/definitionProperties");
  const model = project.reference(report, pbir.datasetReference?.byPath?.path, "the model");
  project.json(`${model}/definition.pbism`, "item/semanticModel/definitionProperties");
  const ids = [[report, "Report"], [model, "SemanticModel"]].map(([folder, type]) => {
    const platform = project.json(`${folder}/.platform`, "gitIntegration/platformProperties");
    if (platform.metadata?.type !== type) project.tell(`${folder}/.platform`, `says ${platform.metadata?.type}, not ${type}`);
    if (!folder.endsWith(`.${type}`)) project.tell(folder, `does not end with .${type}`);
    if (!GUID.test(platform.config?.logicalId)) project.tell(`${folder}/.platform`, "its id is no GUID");
    return platform.config?.logicalId;
  });
  if (ids[0] === ids[1]) project.tell("/", "report and model have the same id");
  return { report, model };
}

function modelOf(project, folder) {
  const found = { objects: [], refs: [] };
  for (const [path, text] of project.texts) {
    if (!path.startsWith(`${folder}/definition/`)) continue;
    if (!path.endsWith(".tmdl")) project.tell(path, "is no TMDL");
    try {
      const { objects, refs } = readTmdl(text);
      const inFolder = /\/tables\/[^/]+\.tmdl$/.test(path);
      for (const object of objects) {
        if (object.kind === "table" && !inFolder) project.tell(path, "a table stands outside of tables/");
        if (object.kind !== "table" && inFolder) project.tell(path, `${object.kind} stands in tables/`);
      }
      if (inFolder && objects.length !== 1) project.tell(path, `${objects.length} tables`);
      found.objects.push(...objects);
      found.refs.push(...refs);
    } catch (error) {
      project.tell(path, error.message);
    }
  }
  const of = (kind) => found.objects.filter((object) => object.kind === kind);
  for (const kind of ["database", "model"]) if (of(kind).length !== 1) project.tell(folder, `${of(kind).length} objects of kind ${kind}`);
  return { of, refs: found.refs };
}

function once(project, names, what) {
  const seen = new Set();
  for (const name of names) {
    const key = name.toLowerCase();
    if (seen.has(key)) project.tell("model", `${what} \`${name}\` is there twice`);
    seen.add(key);
  }
}

/** Columns with their types as a table's query ends: by the last list of types, and the columns that were chosen. */
async function columnsOf(text) {
  const { tree } = await parse(text);
  const typed = [...calls(tree, "Table.TransformColumnTypes")].pop();
  const chosen = [...calls(tree, "Table.SelectColumns")].pop();
  const pairs = typed[1].content.elements.map(({ node }) => node.content.elements.map((element) => element.node));
  const types = new Map(pairs.map(([name, type]) => [textOf(name.literal), type.kind === "TypePrimaryType" ? `type ${type.paired.primitiveTypeKind}` : nameOf(type.identifier.literal)]));
  const names = chosen ? chosen[1].content.elements.map(({ node }) => textOf(node.literal)) : [...types.keys()];
  return new Map(names.map((name) => [name, types.get(name)]));
}

async function checkTable(project, table) {
  const columns = table.children.filter((child) => child.kind === "column");
  const partitions = table.children.filter((child) => child.kind === "partition");
  if (partitions.length !== 1) project.tell(table.name, `${partitions.length} partitions`);
  once(project, [...columns, ...table.children.filter((child) => child.kind === "measure")].map((child) => child.name), `in ${table.name}, the name`);
  const source = partitions[0]?.properties.source ?? "null";
  let made = new Map();
  try {
    made = await columnsOf(source);
  } catch (error) {
    project.tell(table.name, `its query does not tell its columns: ${error.message}`);
  }
  for (const { name, properties } of columns) {
    const type = made.get(properties.sourceColumn);
    if (!made.has(properties.sourceColumn)) project.tell(table.name, `the query has no column \`${properties.sourceColumn}\` for \`${name}\``);
    else if (DATA_TYPES[type]?.toLowerCase() !== properties.dataType?.toLowerCase()) project.tell(table.name, `\`${name}\` is ${properties.dataType}, and ${type} in the query`);
  }
  for (const name of made.keys()) if (!columns.some(({ properties }) => properties.sourceColumn === name)) project.tell(table.name, `column \`${name}\` of the query is not in the model`);
  return source;
}

function tags(project, objects) {
  const all = [];
  const visit = (object) => {
    if (object.properties.lineageTag) all.push(object.properties.lineageTag);
    object.children.forEach(visit);
  };
  objects.forEach(visit);
  once(project, all, "the tag");
}

function checkReport(project, folder, known) {
  project.json(`${folder}/definition/version.json`, "item/report/definition/versionMetadata");
  project.json(`${folder}/definition/report.json`, "item/report/definition/report");
  const pages = project.json(`${folder}/definition/pages/pages.json`, "item/report/definition/pagesMetadata");
  const found = [...project.texts.keys()].map((path) => /^(.*\/definition\/pages\/([^/]+))\/page\.json$/.exec(path)).filter((match) => match?.[1].startsWith(folder));
  const names = found.map((match) => match[2]);
  if (JSON.stringify([...(pages.pageOrder ?? [])].sort()) !== JSON.stringify([...names].sort())) project.tell("pages.json", `lists ${pages.pageOrder}, and there are ${names}`);
  if (pages.activePageName !== undefined && !names.includes(pages.activePageName)) project.tell("pages.json", "the active page is not there");
  for (const [path, page, name] of found) {
    if (project.json(path, "item/report/definition/page").name !== name) project.tell(path, "is not named like its folder");
    for (const other of project.texts.keys()) {
      const match = new RegExp(`^${page.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}/visuals/([^/]+)/visual\\.json$`).exec(other);
      if (!match) continue;
      const visual = project.json(other, "item/report/definition/visualContainer");
      if (visual.name !== match[1]) project.tell(other, "is not named like its folder");
      const states = Object.values(visual.visual?.query?.queryState ?? {});
      const named = [...states.flatMap((state) => state.projections ?? []), ...(visual.visual?.query?.sortDefinition?.sort ?? [])];
      for (const { field } of named) {
        const [kind, { Expression: expression, Property: property }] = Object.entries(field)[0];
        const table = known.get(expression.SourceRef.Entity);
        const has = kind === "Measure" ? table?.measures.has(property) : table?.columns.has(property);
        if (!has) project.tell(other, `names ${kind} \`${property}\` of \`${expression.SourceRef.Entity}\`, which is not there`);
      }
    }
  }
}

export async function checkProject(folder) {
  const project = new Project(folder);
  const { report, model: at } = layout(project);
  const { of, refs } = modelOf(project, at);
  const tables = of("table");
  once(project, [...tables, ...of("expression")].map((object) => object.name), "the query");
  once(project, of("relationship").map((object) => object.name), "the relationship");
  tags(project, [...tables, ...of("expression"), ...of("relationship")]);
  for (const kind of ["table", "expression"]) {
    const referred = refs.filter((ref) => ref.kind === kind).map((ref) => ref.name);
    if (referred.length === 0 && kind === "expression") continue;
    const there = of(kind).map((object) => object.name);
    for (const name of referred) if (!there.includes(name)) project.tell("model", `\`ref ${kind} ${name}\` names nothing`);
    for (const name of there) if (!referred.includes(name)) project.tell("model", `nothing refers to ${kind} \`${name}\``);
    once(project, referred, `the reference to ${kind}`);
  }
  const known = new Map(
    tables.map((table) => {
      const named = (kind) => new Set(table.children.filter((child) => child.kind === kind).map((child) => child.name));
      return [table.name, { columns: named("column"), measures: named("measure") }];
    }),
  );
  const relationships = [];
  for (const { name, properties } of of("relationship")) {
    const ends = ["fromColumn", "toColumn"].map((end) => {
      try {
        const column = columnNamed(properties[end] ?? "");
        if (!known.get(column.table)?.columns.has(column.column)) project.tell(name, `${end} ${properties[end]} is not there`);
        return [column.table, column.column];
      } catch (error) {
        project.tell(name, `${end}: ${error.message}`);
        return [];
      }
    });
    relationships.push({ from: ends[0], to: ends[1], isActive: properties.isActive !== "false" });
  }
  const queries = {};
  for (const { name, value } of of("expression")) queries[name] = value;
  for (const table of tables) queries[table.name] = await checkTable(project, table);
  for (const what of await mProblems({ queries })) project.tell("M", what);
  const policies = tables.flatMap((table) => table.children.filter((child) => child.kind === "refreshPolicy").map((policy) => ({ table: table.name, policy })));
  for (const { table, policy } of policies) {
    const { pollingExpression: polling, sourceExpression: source } = policy.properties;
    if (source === undefined) project.tell(table, "its refresh policy has no source");
    const more = { ...queries, [`${table} polled`]: polling ?? "null", [`${table} by range`]: source ?? "null" };
    for (const what of await mProblems({ queries: more })) project.tell(`${table}, refresh policy`, what);
    for (const name of ["RangeStart", "RangeEnd"]) if (!(name in queries)) project.tell(table, `the parameter ${name} is missing`);
  }
  const measures = {};
  for (const table of tables) {
    for (const measure of table.children.filter((child) => child.kind === "measure")) {
      measures[measure.name] = measure.value;
      for (const what of daxProblems(measure.value, known)) project.tell(`measure ${measure.name}`, what);
    }
  }
  checkReport(project, report, known);
  const shown = Object.fromEntries([...known].map(([name, { columns }]) => [name, [...columns]]));
  return { problems: project.told, queries, tables: shown, measures, relationships };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const said = {};
  for (const folder of process.argv.slice(2)) {
    if (!existsSync(folder)) throw new Error(`there is no folder ${folder}`);
    said[folder] = await checkProject(folder);
  }
  console.log(JSON.stringify(said));
}
