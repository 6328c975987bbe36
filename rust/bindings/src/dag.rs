//! `Dag` and `Scheduler`, the classes.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lightning_native_core::{
    Error,
    dag::{self, Builder, NodeIndex, OnFailure},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList, PyString},
};

use crate::error;

#[pyclass(frozen, module = "lightning_native")]
pub struct Dag {
    dag: Arc<dag::Dag>,
    /// The caller's own objects, so that answers create no new ones.
    names: Arc<Vec<Py<PyString>>>,
}

#[pymethods]
impl Dag {
    #[new]
    fn new(py: Python<'_>, upstream: &Bound<'_, PyAny>) -> PyResult<Self> {
        let upstream = match upstream.cast::<PyDict>() {
            Ok(upstream) => upstream.clone(),
            Err(_) => py.get_type::<PyDict>().call1((upstream,))?.cast_into()?,
        };
        let mut builder = Builder::with_capacity(upstream.len());
        let mut names = Vec::with_capacity(upstream.len());
        let mut values = Vec::with_capacity(upstream.len());
        for (name, value) in upstream.iter() {
            let name = name.cast_into::<PyString>()?;
            builder.node(name.to_str()?).map_err(error::to_python)?;
            names.push(name.unbind());
            values.push(value);
        }
        for (name, value) in names.iter().zip(values) {
            if let Ok(list) = value.cast::<PyList>() {
                for upstream in list.iter() {
                    builder.upstream(upstream.cast::<PyString>()?.to_str()?).map_err(error::to_python)?;
                }
            } else if value.is_instance_of::<PyString>() {
                let name = name.bind(py).to_str()?;
                return Err(PyTypeError::new_err(format!(
                    "the upstream nodes of {name:?} are one str; give a list of names"
                )));
            } else {
                for upstream in value.try_iter()? {
                    builder.upstream(upstream?.cast::<PyString>()?.to_str()?).map_err(error::to_python)?;
                }
            }
            builder.end_node();
        }
        let dag = py.detach(|| builder.build()).map_err(error::to_python)?;
        Ok(Self { dag: Arc::new(dag), names: Arc::new(names) })
    }

    fn order<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        list(py, &self.names, self.dag.order().iter().copied())
    }

    fn generations<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyList>>> {
        let generations = py.detach(|| self.dag.generations());
        generations.into_iter().map(|nodes| list(py, &self.names, nodes)).collect()
    }

    fn critical_path<'py>(&self, py: Python<'py>, durations: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let durations = self.durations(durations)?;
        let mut known = Vec::with_capacity(durations.len());
        for (node, duration) in (0..).zip(durations) {
            known.push(duration.ok_or_else(|| {
                let name = self.dag.name(node);
                error::to_python(Error::Dag(format!("node {name:?} has no duration; give one for each node")))
            })?);
        }
        let path = py.detach(|| self.dag.critical_path(&known)).map_err(error::to_python)?;
        list(py, &self.names, path)
    }

    fn descendants<'py>(&self, py: Python<'py>, node: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        let node = find(&self.dag, node)?;
        let found = py.detach(|| self.dag.descendants(node));
        list(py, &self.names, found)
    }

    fn ancestors<'py>(&self, py: Python<'py>, node: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        let node = find(&self.dag, node)?;
        let found = py.detach(|| self.dag.ancestors(node));
        list(py, &self.names, found)
    }

    fn __len__(&self) -> usize {
        self.dag.len()
    }

    fn __contains__(&self, node: &Bound<'_, PyAny>) -> bool {
        node.cast::<PyString>().is_ok_and(|name| find(&self.dag, name).is_ok())
    }

    fn __repr__(&self) -> String {
        format!("Dag({} nodes)", self.dag.len())
    }
}

impl Dag {
    /// A duration for each node, `None` where the mapping has none.
    fn durations(&self, durations: &Bound<'_, PyAny>) -> PyResult<Vec<Option<f64>>> {
        let durations = match durations.cast::<PyDict>() {
            Ok(durations) => durations.clone(),
            Err(_) => durations.py().get_type::<PyDict>().call1((durations,))?.cast_into()?,
        };
        let mut all = vec![None; self.dag.len()];
        for (name, duration) in durations.iter() {
            all[find(&self.dag, name.cast::<PyString>()?)? as usize] = duration.extract()?;
        }
        Ok(all)
    }
}

fn find(dag: &dag::Dag, name: &Bound<'_, PyString>) -> PyResult<NodeIndex> {
    dag.find(name.to_str()?).map_err(error::to_python)
}

fn list<'py>(
    py: Python<'py>,
    names: &[Py<PyString>],
    nodes: impl IntoIterator<Item = NodeIndex, IntoIter: ExactSizeIterator>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, nodes.into_iter().map(|node| names[node as usize].bind(py)))
}

#[pyclass(frozen, module = "lightning_native")]
pub struct Scheduler {
    scheduler: Mutex<dag::Scheduler>,
    names: Arc<Vec<Py<PyString>>>,
}

#[pymethods]
impl Scheduler {
    #[new]
    #[pyo3(signature = (dag, *, max_parallel=None, durations=None, on_failure="continue"))]
    fn new(
        py: Python<'_>,
        dag: &Bound<'_, Dag>,
        max_parallel: Option<usize>,
        durations: Option<&Bound<'_, PyAny>>,
        on_failure: &str,
    ) -> PyResult<Self> {
        let on_failure = match on_failure {
            "continue" => OnFailure::Continue,
            "stop" => OnFailure::Stop,
            "fail_fast" => OnFailure::FailFast,
            other => {
                return Err(PyValueError::new_err(format!(
                    "on_failure is {other:?}; give \"continue\", \"stop\" or \"fail_fast\""
                )));
            }
        };
        let dag = dag.get();
        let durations = durations.map(|durations| dag.durations(durations)).transpose()?;
        let graph = Arc::clone(&dag.dag);
        let scheduler = py
            .detach(|| dag::Scheduler::new(graph, max_parallel, durations.as_deref(), on_failure))
            .map_err(error::to_python)?;
        Ok(Self { scheduler: Mutex::new(scheduler), names: Arc::clone(&dag.names) })
    }

    fn ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let nodes: Vec<_> = self.lock().ready().collect();
        list(py, &self.names, nodes)
    }

    fn running<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let nodes: Vec<_> = self.lock().running().collect();
        list(py, &self.names, nodes)
    }

    fn to_cancel<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let nodes: Vec<_> = self.lock().to_cancel().collect();
        list(py, &self.names, nodes)
    }

    fn start(&self, node: &Bound<'_, PyString>) -> PyResult<()> {
        self.change(node, dag::Scheduler::start)
    }

    fn succeed(&self, node: &Bound<'_, PyString>) -> PyResult<()> {
        self.change(node, dag::Scheduler::succeed)
    }

    fn fail(&self, node: &Bound<'_, PyString>) -> PyResult<()> {
        self.change(node, dag::Scheduler::fail)
    }

    fn retry(&self, node: &Bound<'_, PyString>) -> PyResult<()> {
        self.change(node, dag::Scheduler::retry)
    }

    fn skip(&self, node: &Bound<'_, PyString>) -> PyResult<()> {
        self.change(node, dag::Scheduler::skip)
    }

    fn state(&self, node: &Bound<'_, PyString>) -> PyResult<&'static str> {
        let scheduler = self.lock();
        Ok(scheduler.state(find(scheduler.dag(), node)?).as_str())
    }

    #[getter]
    fn is_done(&self) -> bool {
        self.lock().is_done()
    }
}

impl Scheduler {
    fn lock(&self) -> MutexGuard<'_, dag::Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        node: &Bound<'_, PyString>,
        transition: impl FnOnce(&mut dag::Scheduler, NodeIndex) -> lightning_native_core::Result<()>,
    ) -> PyResult<()> {
        let mut scheduler = self.lock();
        let node = find(scheduler.dag(), node)?;
        transition(&mut scheduler, node).map_err(error::to_python)
    }
}
