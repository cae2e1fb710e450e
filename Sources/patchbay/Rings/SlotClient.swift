// How a command becomes the writer of a slot: the registry makes it where an engine answers; else the command makes the
// ring itself, and the engine takes it up when it comes.
import API
import CLinux
import CRingLayout
import FrameCache
import Graph
import Rings

/// A slot to be made, as `POST /slots` takes it.
struct SlotWish {
    let body: JSON
    /// Whether the input is Y4M: each frame has a line before it.
    let isY4M: Bool
}

/// Makes, adopts and removes slots for a command. An engine may come and go meanwhile: each call looks whether one answers.
struct SlotClient: Sendable {
    let place: RingPlace
    private let known: HTTPClient?
    /// The engine, where one answers.
    private var client: HTTPClient? { known.flatMap { $0.isAnswered ? $0 : nil } }

    init(_ place: RingPlace, _ arguments: Arguments) {
        self.place = place
        do throws(UsageError) { known = try HTTPClient(arguments) } catch { known = nil }
    }

    /// The writer's end of the slot: of one that exists without a writer, or of one that is made.
    func writer(_ name: String, _ wish: SlotWish?) throws(RingCommandFault) -> FrameRingWriter {
        let ring = try ring(name, wish?.body)
        guard ring.isFrameRing else {
            throw RingCommandFault("the slot \"\(name)\" carries packets; write those with the library")
        }
        do throws(RingError) { return try FrameRingWriter(adopting: ring) } catch {
            throw RingCommandFault(error, name, place)
        }
    }

    /// The ring of a slot, made where there is a wish for it.
    func ring(_ name: String, _ wish: JSON?) throws(RingCommandFault) -> RingMapping {
        if let wish { try make(name, wish) }
        return try place.ring(name, populates: true)
    }

    private func make(_ name: String, _ wish: JSON) throws(RingCommandFault) {
        guard let client else { return try makeAlone(name, wish) }
        do throws(HTTPClient.Failure) {
            let (status, body) = try client.send("POST", "/slots", json: wish.utf8(pretty: false))
            guard status != 200, status != 201 else { return }
            let detail: String?
            do throws(JSONFault) { detail = try JSONText(body).parse()["detail"]?.string } catch { detail = nil }
            throw HTTPClient.Failure(detail ?? "the engine answers \(status)")
        } catch {
            // An engine that hangs is as good as none: what is to be recorded comes now.
            guard error.isWithoutAnswer else { throw RingCommandFault(error.description) }
            try makeAlone(name, wish)
        }
    }

    private func makeAlone(_ name: String, _ wish: JSON) throws(RingCommandFault) {
        let request: SlotRequest
        do throws(DocumentFaults) { request = try SlotRequest(wish) } catch {
            throw RingCommandFault(error.description)
        }
        do throws(FolderError) { try RingFolder.makeShared(place.folder) } catch {
            throw RingCommandFault(error.description)
        }
        let path = place.folder + "/" + name
        do throws(RingError) {
            var spec = request.ring
            if access(path, F_OK) == 0 {
                let old = try RingMapping.open(path: path, populates: false)
                guard !old.isWriterAlive else { throw .writerAlive }
                if old.isMade(of: spec), !old.isRemoved { return }
                (spec.generation, spec.firstSequence) = (old.identity.generation &+ 1, old.head)
                let new = try RingMapping.create(
                    path: path, spec: spec, extradata: UnsafeRawBufferPointer(start: nil, count: 0))
                new.letGoOfWriter()
                old.supersede()
            } else {
                let new = try RingMapping.create(
                    path: path, spec: spec, extradata: UnsafeRawBufferPointer(start: nil, count: 0))
                new.letGoOfWriter()
            }
        } catch { throw RingCommandFault(error, name, place) }
    }

    /// The slot has ended: deregistered, its name gone. Where somebody removed it before, the name may be another's by now.
    func remove(_ name: String, _ ring: RingMapping) throws(RingCommandFault) {
        guard !ring.isRemoved else { return }
        guard let client else {
            ring.tombstone()
            // Only of a folder that a writer made, and only when nothing is left in it.
            rmdir(place.folder)
            return
        }
        do throws(HTTPClient.Failure) { _ = try client.send("DELETE", "/slots/\(name)") } catch {
            ring.tombstone()
        }
    }
}
