//! Gateways of the stand-in for HBase: real sockets and real Thrift, in each kind, that can be killed and started again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hbase_thrift::hbase::{
    BatchMutation, ColumnDescriptor, HbaseSyncHandler, HbaseSyncProcessor, Mutation, TAccessControlEntity, TAppend,
    TCell, TIncrement, TRegionInfo, TRowResult, TScan, TThriftServerType,
};
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol, TInputProtocol,
    TOutputProtocol,
};
use thrift::server::TProcessor;
use thrift::transport::{TBufferedReadTransport, TBufferedWriteTransport, TFramedReadTransport, TFramedWriteTransport};

use super::hbase::FakeHbase;
use crate::{HbaseConfig, Protocol, Transport};

type Text = Vec<u8>;
type Attributes = BTreeMap<Text, Text>;

/// A gateway that listens until it is dropped.
pub(super) struct FakeGateway {
    pub(super) address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    listener: Option<JoinHandle<()>>,
}

impl FakeGateway {
    /// On a free port, speaking the default kind of Thrift.
    pub(super) fn start(hbase: &FakeHbase) -> Self {
        Self::start_at(hbase, "127.0.0.1:0".parse().unwrap(), Transport::Buffered, Protocol::Binary)
    }

    /// At a place where another one was, perhaps.
    pub(super) fn start_at(hbase: &FakeHbase, address: SocketAddr, transport: Transport, protocol: Protocol) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(64).unwrap();
        let listener: TcpListener = socket.into();
        let address = listener.local_addr().unwrap();
        let (is_stopped, connections) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (hbase, stopped, open) = (hbase.clone(), Arc::clone(&is_stopped), Arc::clone(&connections));
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                open.lock().push(stream.try_clone().unwrap());
                let hbase = hbase.clone();
                std::thread::spawn(move || serve(hbase, stream, transport, protocol));
            }
        });
        Self { address, is_stopped, connections, listener: Some(listener) }
    }

    /// The settings to reach some gateways with.
    pub(super) fn config(gateways: &[&Self]) -> HbaseConfig {
        HbaseConfig {
            gateways: gateways.iter().map(|gateway| gateway.address.to_string()).collect(),
            workers: 2,
            // A gateway that was just found away may be tried at once: faults are drawn, not waited for.
            reconnect_ms_max: 0,
            ..HbaseConfig::default()
        }
    }
}

/// Kills the gateway: all connections end at once, and nothing listens any more.
impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        self.listener.take().unwrap().join().ok();
        for stream in self.connections.lock().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn serve(hbase: FakeHbase, stream: TcpStream, transport: Transport, protocol: Protocol) {
    let (read, write) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    let (read, write): (Box<dyn Read + Send>, Box<dyn Write + Send>) = match transport {
        Transport::Buffered => {
            (Box::new(TBufferedReadTransport::new(read)), Box::new(TBufferedWriteTransport::new(write)))
        }
        Transport::Framed => (Box::new(TFramedReadTransport::new(read)), Box::new(TFramedWriteTransport::new(write))),
    };
    let (mut input, mut output): (Box<dyn TInputProtocol>, Box<dyn TOutputProtocol>) = match protocol {
        Protocol::Binary => {
            (Box::new(TBinaryInputProtocol::new(read, true)), Box::new(TBinaryOutputProtocol::new(write, true)))
        }
        Protocol::Compact => (Box::new(TCompactInputProtocol::new(read)), Box::new(TCompactOutputProtocol::new(write))),
    };
    let processor = HbaseSyncProcessor::new(Handler(hbase));
    // A call that hangs up unwinds.
    catch_unwind(AssertUnwindSafe(|| while processor.process(&mut *input, &mut *output).is_ok() {})).ok();
    stream.shutdown(Shutdown::Both).ok();
}

struct Handler(FakeHbase);

macro_rules! never_called {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(
            fn $name(&self, $(_: $argument),*) -> thrift::Result<$result> {
                Err(thrift::Error::User(concat!(stringify!($name), " is never called").into()))
            }
        )*
    };
}

impl HbaseSyncHandler for Handler {
    fn handle_create_table(&self, name: Text, families: Vec<ColumnDescriptor>) -> thrift::Result<()> {
        self.0.create_table(name, families)
    }

    fn handle_get_column_descriptors(&self, name: Text) -> thrift::Result<BTreeMap<Text, ColumnDescriptor>> {
        self.0.families(&name)
    }

    fn handle_get_row(&self, table: Text, row: Text, _: Attributes) -> thrift::Result<Vec<TRowResult>> {
        self.0.get(&table, &[row], None)
    }

    fn handle_get_row_with_columns(
        &self,
        table: Text,
        row: Text,
        columns: Vec<Text>,
        _: Attributes,
    ) -> thrift::Result<Vec<TRowResult>> {
        self.0.get(&table, &[row], Some(&columns))
    }

    fn handle_get_rows_with_columns(
        &self,
        table: Text,
        rows: Vec<Text>,
        columns: Vec<Text>,
        _: Attributes,
    ) -> thrift::Result<Vec<TRowResult>> {
        self.0.get(&table, &rows, Some(&columns))
    }

    fn handle_mutate_rows(&self, table: Text, rows: Vec<BatchMutation>, _: Attributes) -> thrift::Result<()> {
        self.0.mutate(&table, rows, None)
    }

    fn handle_mutate_rows_ts(
        &self,
        table: Text,
        rows: Vec<BatchMutation>,
        at: i64,
        _: Attributes,
    ) -> thrift::Result<()> {
        self.0.mutate(&table, rows, Some(at))
    }

    fn handle_check_and_put(
        &self,
        table: Text,
        row: Text,
        _: Text,
        _: Text,
        put: Mutation,
        _: Attributes,
    ) -> thrift::Result<bool> {
        self.0.put_if_absent(&table, &row, &put)
    }

    fn handle_scanner_open_with_scan(&self, table: Text, scan: TScan, _: Attributes) -> thrift::Result<i32> {
        self.0.open_scanner(&table, scan)
    }

    fn handle_scanner_get_list(&self, number: i32, count: i32) -> thrift::Result<Vec<TRowResult>> {
        Ok(self.0.read_scanner(number, count))
    }

    fn handle_scanner_close(&self, number: i32) -> thrift::Result<()> {
        self.0.close_scanner(number);
        Ok(())
    }

    never_called! {
        handle_enable_table(Text) -> ();
        handle_disable_table(Text) -> ();
        handle_is_table_enabled(Text) -> bool;
        handle_compact(Text) -> ();
        handle_major_compact(Text) -> ();
        handle_get_table_names() -> Vec<Text>;
        handle_get_table_names_with_is_table_enabled() -> BTreeMap<Text, bool>;
        handle_get_table_regions(Text) -> Vec<TRegionInfo>;
        handle_delete_table(Text) -> ();
        handle_get(Text, Text, Text, Attributes) -> Vec<TCell>;
        handle_get_ver(Text, Text, Text, i32, Attributes) -> Vec<TCell>;
        handle_get_ver_ts(Text, Text, Text, i64, i32, Attributes) -> Vec<TCell>;
        handle_get_row_ts(Text, Text, i64, Attributes) -> Vec<TRowResult>;
        handle_get_row_with_columns_ts(Text, Text, Vec<Text>, i64, Attributes) -> Vec<TRowResult>;
        handle_get_rows(Text, Vec<Text>, Attributes) -> Vec<TRowResult>;
        handle_get_rows_ts(Text, Vec<Text>, i64, Attributes) -> Vec<TRowResult>;
        handle_get_rows_with_columns_ts(Text, Vec<Text>, Vec<Text>, i64, Attributes) -> Vec<TRowResult>;
        handle_mutate_row(Text, Text, Vec<Mutation>, Attributes) -> ();
        handle_mutate_row_ts(Text, Text, Vec<Mutation>, i64, Attributes) -> ();
        handle_atomic_increment(Text, Text, Text, i64) -> i64;
        handle_delete_all(Text, Text, Text, Attributes) -> ();
        handle_delete_all_ts(Text, Text, Text, i64, Attributes) -> ();
        handle_delete_all_row(Text, Text, Attributes) -> ();
        handle_increment(TIncrement) -> ();
        handle_increment_rows(Vec<TIncrement>) -> ();
        handle_delete_all_row_ts(Text, Text, i64, Attributes) -> ();
        handle_scanner_open(Text, Text, Vec<Text>, Attributes) -> i32;
        handle_scanner_open_with_stop(Text, Text, Text, Vec<Text>, Attributes) -> i32;
        handle_scanner_open_with_prefix(Text, Text, Vec<Text>, Attributes) -> i32;
        handle_scanner_open_ts(Text, Text, Vec<Text>, i64, Attributes) -> i32;
        handle_scanner_open_with_stop_ts(Text, Text, Text, Vec<Text>, i64, Attributes) -> i32;
        handle_scanner_get(i32) -> Vec<TRowResult>;
        handle_get_region_info(Text) -> TRegionInfo;
        handle_append(TAppend) -> Vec<TCell>;
        handle_get_thrift_server_type() -> TThriftServerType;
        handle_get_cluster_id() -> String;
        handle_grant(TAccessControlEntity) -> bool;
        handle_revoke(TAccessControlEntity) -> bool;
    }
}
