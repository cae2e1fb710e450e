// JSON Schema (2020-12) of graph documents, from the same declarations that check them: for editors and `GET /v1/kinds`.
// The schema is necessary, not sufficient: what needs the whole graph (types of edges, cycles, claims) only the engine
// checks. Pure functions.
import Media

extension Catalogue {
    /// The schema of a whole document; each kind stands under `$defs` by its name.
    package var schema: JSON {
        let document: [JSONObject.Member] = [
            ("$schema", "https://json-schema.org/draft/2020-12/schema"),
            ("title", "Patchbay graph"),
            ("type", "object"),
            ("required", ["patchbay", "nodes"]),
            ("additionalProperties", false),
            (
                "properties",
                [
                    "$schema": ["type": "string"], "patchbay": ["const": 1],
                    "name": ["type": "string", "minLength": 1, "maxLength": 200],
                    "nodes": ["type": "object", "propertyNames": id, "additionalProperties": node],
                    "programs": ["type": "object", "propertyNames": id, "additionalProperties": program],
                ]
            ),
            ("$defs", .object(JSONObject(kinds.map { ($0.name, $0.schema) }))),
        ]
        return .object(JSONObject(document))
    }

    private var id: JSON { ["pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"] }

    /// A node is as its kind says.
    private var node: JSON {
        let branches = kinds.map { kind -> JSON in
            [
                "if": ["properties": ["kind": ["const": .string(kind.name)]]],
                "then": ["$ref": .string("#/$defs/\(kind.name)")],
            ]
        }
        return [
            "type": "object", "required": ["kind"],
            "properties": ["kind": ["enum": .array(kinds.map { .string($0.name) })]], "allOf": .array(branches),
        ]
    }

    private var program: JSON {
        ["type": "object", "additionalProperties": ["type": ["string", "object"]]]
    }
}

extension KindDeclaration {
    /// The schema of a node of this kind.
    package var schema: JSON {
        let required = settings.filter(\.isRequired).map { JSON.string($0.name) }
        var members: [JSONObject.Member] = [
            ("kind", ["const": .string(name)]),
            (
                "settings",
                [
                    "type": "object", "additionalProperties": false, "required": .array(required),
                    "properties": .object(JSONObject(settings.map { ($0.name, $0.schema) })),
                ]
            ),
            ("lane", ["type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"]),
            ("outlets", outletSchema), ("budget", MediaTime.schema),
        ]
        if !inlets.isEmpty { members.append(("inputs", inputSchema)) }
        if case .tracks = outlets {
            members.append(("tracks", trackSchema))
            members.append(("program", ["type": ["integer", "string"]]))
        }
        var needed: [JSON] = ["kind"]
        if !required.isEmpty { needed.append("settings") }
        if !inlets.isEmpty { needed.append("inputs") }
        return [
            "description": .string(summary), "type": "object", "required": .array(needed),
            "additionalProperties": false, "properties": .object(JSONObject(members)),
        ]
    }

    private var inputSchema: JSON {
        guard groups != nil else { return groupSchema }
        return ["type": "object", "minProperties": 1, "additionalProperties": groupSchema]
    }

    /// What wires the inlets together: a program, or an edge for each.
    private var groupSchema: JSON {
        let edge: JSON = [
            "anyOf": [
                ["type": "string"],
                [
                    "type": "object", "required": ["from"], "additionalProperties": false,
                    "properties": [
                        "from": ["type": "string"],
                        "behind": ["enum": .array(Behind.allCases.map { .string($0.rawValue) })],
                        "splice": ["enum": .array(Splice.allCases.map { .string($0.rawValue) })],
                    ],
                ],
            ]
        ]
        let properties = inlets.map { inlet -> JSONObject.Member in
            let several: JSON = ["anyOf": [edge, ["type": "object", "additionalProperties": edge]]]
            let schema = (inlet.takesMany && groups == nil ? several : edge).object ?? JSONObject()
            let text = inlet.documentation.isEmpty ? "Takes \(inlet.phrase)." : inlet.documentation
            return (inlet.name, .object(schema.setting("description", to: .string(text))))
        }
        let required = inlets.filter(\.isRequired).map { JSON.string($0.name) }
        return [
            "anyOf": [
                ["type": "string", "description": "The name of a program."],
                [
                    "type": "object", "additionalProperties": false, "required": .array(required),
                    "properties": .object(JSONObject(properties)),
                ],
            ]
        ]
    }

    private var outletSchema: JSON {
        let outlet: JSON = [
            "type": "object", "additionalProperties": false, "properties": ["hold": MediaTime.schema],
        ]
        guard case .fixed(let declared) = outlets else { return ["type": "object", "additionalProperties": outlet] }
        return [
            "type": "object", "additionalProperties": false,
            "properties": .object(JSONObject(declared.map { ($0.name, outlet) })),
        ]
    }

    private var trackSchema: JSON {
        let types = TrackSelector.TrackType.allCases.map { JSON.string($0.rawValue) }
        return [
            "type": "object", "minProperties": 1, "maxProperties": 64,
            "additionalProperties": [
                "type": "object", "required": ["type"], "additionalProperties": false,
                "properties": [
                    "type": ["enum": .array(types)], "language": ["type": "string"], "codec": ["type": "string"],
                    "id": ["type": "integer", "minimum": 0], "index": ["type": "integer", "minimum": 0],
                ],
            ],
        ]
    }
}
